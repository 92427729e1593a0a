// Package database opens the platform's PostgreSQL or CockroachDB and knows how its errors are to be taken.
package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/lib/pq"

	"app238.com/inner/app/config"
	"app238.com/inner/ent"
)

// Open returns a pool of connections whose sessions are in UTC. It does not connect: a database that is away is found
// out by whoever asks it something.
func Open(c *config.Config) (*sql.DB, error) {
	connector, err := Connector(c)
	if err != nil {
		return nil, err
	}
	return Pool(connector, c), nil
}

// Connector returns what opens the connections of Open.
func Connector(c *config.Config) (driver.Connector, error) {
	dsn, err := withSettings(c.Database)
	if err != nil {
		return nil, err
	}
	return connect("database.dsn", dsn, c.Database.StatementTimeout+answerMargin)
}

// connect returns what opens connections by a DSN, which are given up where the server lets one wait for longer than answer.
func connect(key, dsn string, answer time.Duration) (driver.Connector, error) {
	parsed, err := pq.NewConfig(dsn)
	if err != nil {
		// The driver's own message may repeat the password.
		return nil, notDSN(key)
	}
	parameters := parsed.Runtime
	parsed.Runtime = nil
	connector, err := pq.NewConnectorConfig(parsed)
	if err != nil {
		return nil, notDSN(key)
	}
	connector.Dialer(counting{dialer{limit: answer}})
	return sessions{newOpener(connector, key, parsed.ConnectTimeout, parameters)}, nil
}

// idleTime is how long a connection is kept for nothing: replicas may share a pooler's few sessions.
const idleTime = time.Minute

// Pool returns a pool of connections of connector, as large as configured.
func Pool(connector driver.Connector, c *config.Config) *sql.DB {
	db := openPool(connector, c.Database.MaxOpenConnections, c.Database.MaxIdleConnections)
	db.SetConnMaxIdleTime(idleTime)
	db.SetConnMaxLifetime(c.Database.MaxConnectionLifetime)
	return db
}

// setting is one of a session's.
type setting struct{ key, value string }

// withSettings adds what every session needs to the DSN: UTC, because the tables' timestamps have no zone, and limits
// that hold even where a context is lost.
func withSettings(c config.Database) (string, error) {
	dsn := c.DSN.Reveal()
	if dsn == "" {
		return "", config.Wrong(errors.New("database.dsn: required (-d, INNER_DATABASE_DSN or the configuration file)"))
	}
	return addSettings("database.dsn", dsn, "", append(session(c.ConnectTimeout, c.StatementTimeout), setting{"timezone", "UTC"}))
}

func session(connect, statement time.Duration) []setting {
	return []setting{
		{"application_name", "inner-gateway"},
		{"connect_timeout", strconv.Itoa(max(1, int(connect.Seconds())))},
		{"statement_timeout", strconv.FormatInt(statement.Milliseconds(), 10)},
	}
}

// scheme begins a DSN that is a URL. Every other one is of the form key=value, also where a value holds ://.
var scheme = regexp.MustCompile(`^\s*[A-Za-z][A-Za-z0-9+.-]*://`)

// notDSN says that a setting holds no DSN, and nothing of what it holds: there may be a password in it.
func notDSN(key string) error {
	return config.Wrong(fmt.Errorf("%s: not a valid postgres:// URL", key))
}

// addSettings puts settings into a DSN, and another database where one is given. The key names the DSN in errors.
func addSettings(key, dsn, database string, settings []setting) (string, error) {
	if !scheme.MatchString(dsn) {
		if database != "" {
			settings = append(settings, setting{"dbname", database})
		}
		for _, s := range settings {
			dsn += fmt.Sprintf(" %s='%s'", s.key, s.value)
		}
		return dsn, nil
	}
	u, err := url.Parse(strings.TrimSpace(dsn))
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return "", notDSN(key)
	}
	if database != "" {
		u.Path = "/" + database
	}
	query := u.Query()
	for _, s := range settings {
		query.Set(s.key, s.value)
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// NewEnt returns the Ent client on top of db.
func NewEnt(db *sql.DB) *ent.Client {
	return ent.NewClient(ent.Driver(entsql.OpenDB(dialect.Postgres, db)))
}

// Ping asks whether the database takes writes.
func Ping(ctx context.Context, db *sql.DB, c *config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, c.Database.ConnectTimeout)
	defer cancel()
	return db.PingContext(ctx)
}

// Version returns name and version of the database server.
func Version(ctx context.Context, db *sql.DB, c *config.Config) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Database.StatementTimeout)
	defer cancel()
	var full string
	if err := db.QueryRowContext(ctx, `SELECT version()`).Scan(&full); err != nil {
		return "", err
	}
	// "PostgreSQL 15.14 (Debian …) on …", "CockroachDB CCL v25.3.1 (…)"
	version, _, _ := strings.Cut(full, " (")
	version, _, _ = strings.Cut(version, " on ")
	return version, nil
}

// Array makes a slice an SQL array, as an argument of a statement.
func Array(slice any) driver.Valuer { return pq.Array(slice) }
