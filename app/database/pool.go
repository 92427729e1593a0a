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

// growthBackoff is how long a pool does not grow after the server refused a connection.
const growthBackoff = time.Minute

// growingPool limits a pool to the number of connections that the server, or a pooler, accepts. Without it database/sql opens
// a connection for each statement that finds none idle, and the statement fails instead of waiting for an open one.
type growingPool struct {
	driver.Connector
	db               *sql.DB
	maxOpen, maxIdle int

	mu             sync.Mutex
	opening, limit int
	retryTimer     *time.Timer // nil if none is running
}

// openPool returns a pool of at most maxOpen connections, of which maxIdle are kept while idle.
func openPool(connector driver.Connector, maxOpen, maxIdle int) *sql.DB {
	g := &growingPool{Connector: connector, maxOpen: maxOpen, maxIdle: maxIdle, limit: maxOpen}
	g.db = sql.OpenDB(g)
	g.set(maxOpen)
	return g.db
}

// Connect opens a connection. If the server is full, the statement waits for an open connection.
func (g *growingPool) Connect(ctx context.Context) (driver.Conn, error) {
	g.mu.Lock()
	g.opening++
	g.mu.Unlock()
	conn, err := g.Connector.Connect(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	others := g.db.Stats().OpenConnections - g.opening
	g.opening--
	pooler, ok := errors.AsType[*PoolerError](err)
	switch {
	case err == nil && g.limit < g.maxOpen:
		g.set(g.limit + 1)
	case ok && pooler.full && others > 0 && ctx.Err() == nil:
		g.set(min(g.limit, others))
		if g.retryTimer == nil {
			g.retryTimer = time.AfterFunc(growthBackoff, g.retry)
		}
		return nil, errors.Join(driver.ErrBadConn, err)
	}
	return conn, err
}

// retry raises the limit by one after the backoff.
func (g *growingPool) retry() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retryTimer = nil
	g.set(min(g.limit+1, g.maxOpen))
}

func (g *growingPool) set(limit int) {
	g.limit = limit
	g.db.SetMaxOpenConns(limit)
	g.db.SetMaxIdleConns(min(g.maxIdle, limit))
}

// Close implements io.Closer; sql.DB calls it.
func (g *growingPool) Close() error {
	g.mu.Lock()
	if g.retryTimer != nil {
		g.retryTimer.Stop()
	}
	g.mu.Unlock()
	if c, ok := g.Connector.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
