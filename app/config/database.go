package config

import "time"

// Database is the platform's PostgreSQL or CockroachDB.
type Database struct {
	DSN                Secret        `mapstructure:"dsn"`
	MaxOpenConnections int           `mapstructure:"maxOpenConnections"`
	MaxIdleConnections int           `mapstructure:"maxIdleConnections"`
	ConnectTimeout     time.Duration `mapstructure:"connectTimeout"`
	StatementTimeout   time.Duration `mapstructure:"statementTimeout"`
	// MaxConnectionLifetime is the time after which a connection is replaced by a new one.
	MaxConnectionLifetime time.Duration `mapstructure:"maxConnectionLifetime"`
}

// minConnectionLifetime is much longer than it takes to open a connection.
const minConnectionLifetime = 10 * time.Second

func databaseLimits() limits {
	return limits{
		numbers: map[string][2]float64{
			"database.maxOpenConnections": {1, 10_000},
			"database.maxIdleConnections": {0, 10_000},
		},
		durations: map[string][2]time.Duration{
			"database.connectTimeout":        {100 * time.Millisecond, 5 * time.Minute},
			"database.statementTimeout":      {time.Second, 10 * time.Minute},
			"database.maxConnectionLifetime": {minConnectionLifetime, week},
		},
	}
}
