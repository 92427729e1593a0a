package database

import (
	"context"
	"database/sql/driver"
	"net"
	"strconv"
	"time"

	"github.com/lib/pq"

	"app238.com/inner/app/config"
)

// answerMargin is what a server gets beyond its own limit of a statement before its connection is given up.
const answerMargin = 5 * time.Second

// EngineConnector returns what opens connections to a database of the RDB engine, "" being the one that the DSN names. A
// server that has stopped answering costs a connection, and the time limit of one statement.
func EngineConnector(c config.RDB, database string) (driver.Connector, error) {
	const key = "combinator.rdb.dsn"
	settings := append(session(c.ConnectTimeout, c.RequestTimeout),
		setting{"lock_timeout", strconv.FormatInt(c.LockTimeout.Milliseconds(), 10)})
	dsn, err := addSettings(key, c.DSN.Reveal(), database, settings)
	if err != nil {
		return nil, err
	}
	connector, err := connect(key, dsn)
	if err != nil {
		return nil, err
	}
	connector.Dialer(dialer{limit: c.RequestTimeout + answerMargin})
	return connector, nil
}

// dialer opens connections that give up on a server which does not answer within limit. The driver itself would wait for
// it even after a statement's context has ended.
type dialer struct{ limit time.Duration }

// Dial implements pq.Dialer.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout implements pq.Dialer.
func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext implements pq.DialerContext.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var plain net.Dialer
	conn, err := plain.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return limitedConn{Conn: conn, limit: d.limit}, nil
}

// limitedConn limits each read and write. An idle connection is not read from.
type limitedConn struct {
	net.Conn
	limit time.Duration
}

// Read implements net.Conn.
func (c limitedConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write implements net.Conn.
func (c limitedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Quote makes a name safe to stand in a statement.
func Quote(name string) string { return pq.QuoteIdentifier(name) }

// Literal makes a text safe to stand in a statement that takes no arguments.
func Literal(text string) string { return pq.QuoteLiteral(text) }
