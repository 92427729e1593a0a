// Package database opens connections to the platform's PostgreSQL or CockroachDB, migrates its tables and classifies its errors.
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

// Open returns a pool of connections whose sessions are in UTC. It does not connect.
func Open(c *config.Config) (*sql.DB, error) {
	connector, err := Connector(c)
	if err != nil {
		return nil, err
	}
	return Pool(connector, c), nil
}

// Connector returns the connector of Open.
func Connector(c *config.Config) (driver.Connector, error) {
	dsn, err := withSettings(c.Database)
	if err != nil {
		return nil, err
	}
	return connect("database.dsn", dsn, c.Database.StatementTimeout+answerMargin)
}

// connect returns a connector for a DSN. A connection is closed when the server takes longer than limit to answer.
func connect(key, dsn string, limit time.Duration) (driver.Connector, error) {
	parsed, err := pq.NewConfig(dsn)
	if err != nil {
		// The driver's own message may repeat the password.
		return nil, invalidDSN(key)
	}
	parameters := parsed.Runtime
	parsed.Runtime = nil
	connector, err := pq.NewConnectorConfig(parsed)
	if err != nil {
		return nil, invalidDSN(key)
	}
	connector.Dialer(countingDialer{dialer{limit: limit}})
	return sessions{newOpener(connector, key, parsed.ConnectTimeout, parameters)}, nil
}

// idleTime is how long an idle connection is kept: replicas may share a pooler's few sessions.
const idleTime = time.Minute

// Pool returns a pool of connector's connections with the configured limits.
func Pool(connector driver.Connector, c *config.Config) *sql.DB {
	db := openPool(connector, c.Database.MaxOpenConnections, c.Database.MaxIdleConnections)
	db.SetConnMaxIdleTime(idleTime)
	db.SetConnMaxLifetime(c.Database.MaxConnectionLifetime)
	return db
}

// setting is a run-time parameter of a session.
type setting struct{ key, value string }

// withSettings adds the parameters of every session to the DSN: UTC, because the tables' timestamps have no time zone, and
// limits that hold without a context.
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
		// A process that is stopped, or whose machine is lost, in a transaction would keep its locks.
		{"idle_in_transaction_session_timeout", strconv.FormatInt(statement.Milliseconds(), 10)},
	}
}

// scheme matches the start of a DSN that is a URL. Any other DSN has the form key=value, even with :// in a value.
var scheme = regexp.MustCompile(`^\s*[A-Za-z][A-Za-z0-9+.-]*://`)

// invalidDSN returns the error of a setting without its value, which may contain a password.
func invalidDSN(key string) error {
	return config.Wrong(fmt.Errorf("%s: not a valid postgres:// URL", key))
}

// addSettings adds parameters to a DSN and, unless database is empty, replaces its database. Errors name the key.
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
		return "", invalidDSN(key)
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

// Ping returns an error unless the database accepts writes.
func Ping(ctx context.Context, db *sql.DB, c *config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, c.Database.ConnectTimeout)
	defer cancel()
	return db.PingContext(ctx)
}

// Array converts a slice to an SQL array argument.
func Array(slice any) driver.Valuer { return pq.Array(slice) }

// AnyOf is a predicate for Ent: the field has one of the values. It sends them as one array, while Ent's own In sends a
// parameter per value and PostgreSQL takes at most 65,535 of them.
func AnyOf[T any](field string, values []T) func(*entsql.Selector) {
	return func(s *entsql.Selector) {
		s.Where(entsql.P(func(b *entsql.Builder) {
			b.Ident(s.C(field)).WriteString(" = ANY(").Arg(Array(values)).WriteString(")")
		}))
	}
}
