package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"sync"
	"time"
)

// growthPause is for how long a pool does not try to grow after it could not.
const growthPause = time.Minute

// growth keeps a pool from growing beyond what the server, or a pooler, has room for. database/sql opens a connection for
// each statement that finds none idle and has it fail with that, although it could wait for its turn with one that is there.
type growth struct {
	driver.Connector
	db         *sql.DB
	most, idle int

	mu             sync.Mutex
	opening, limit int
	again          *time.Timer // nil for none
}

// openPool returns a pool of at most this many connections, of which as many as idle are kept for later.
func openPool(connector driver.Connector, most, idle int) *sql.DB {
	g := &growth{Connector: connector, most: most, idle: idle, limit: most}
	g.db = sql.OpenDB(g)
	g.set(most)
	return g.db
}

// Connect opens a connection. Where there is no room for it, its statement gets its turn with another one.
func (g *growth) Connect(ctx context.Context) (driver.Conn, error) {
	g.mu.Lock()
	g.opening++
	g.mu.Unlock()
	conn, err := g.Connector.Connect(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	there := g.db.Stats().OpenConnections - g.opening
	g.opening--
	pooler, ok := errors.AsType[*PoolerError](err)
	switch {
	case err == nil && g.limit < g.most:
		g.set(g.limit + 1)
	case ok && pooler.full && there > 0 && ctx.Err() == nil:
		g.set(min(g.limit, there))
		if g.again == nil {
			g.again = time.AfterFunc(growthPause, g.retry)
		}
		return nil, errors.Join(driver.ErrBadConn, err)
	}
	return conn, err
}

// retry lets the pool try whether there is room for one more.
func (g *growth) retry() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.again = nil
	g.set(min(g.limit+1, g.most))
}

func (g *growth) set(limit int) {
	g.limit = limit
	g.db.SetMaxOpenConns(limit)
	g.db.SetMaxIdleConns(min(g.idle, limit))
}

// Close implements io.Closer, for the pool's end.
func (g *growth) Close() error {
	g.mu.Lock()
	if g.again != nil {
		g.again.Stop()
	}
	g.mu.Unlock()
	if c, ok := g.Connector.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
