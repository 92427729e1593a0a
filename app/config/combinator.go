package config

import "time"

// Combinator is what users keep their data in: the RDB engine, the KV engine, and the pods that serve both.
type Combinator struct {
	RDB  RDB            `mapstructure:"rdb"`
	KV   KV             `mapstructure:"kv"`
	Pods CombinatorPods `mapstructure:"pods"`
}

// RDB is the SQL engine in which users have their schemas.
type RDB struct {
	DSN                    Secret        `mapstructure:"dsn"`
	Roles                  string        `mapstructure:"roles"`
	Names                  RDBNames      `mapstructure:"names"`
	DropUnused             bool          `mapstructure:"dropUnused"`
	SchemasPerUser         int           `mapstructure:"schemasPerUser"`
	StatementTimeout       time.Duration `mapstructure:"statementTimeout"`
	IdleTransactionTimeout time.Duration `mapstructure:"idleTransactionTimeout"`
	ConnectionLimit        int           `mapstructure:"connectionLimit"`
	MaxOpenConnections     int           `mapstructure:"maxOpenConnections"`
	MaxConnectionLifetime  time.Duration `mapstructure:"maxConnectionLifetime"`
	ConnectTimeout         time.Duration `mapstructure:"connectTimeout"`
	RequestTimeout         time.Duration `mapstructure:"requestTimeout"`
	LockTimeout            time.Duration `mapstructure:"lockTimeout"`
	MeasureInterval        time.Duration `mapstructure:"measureInterval"`
	PasswordInterval       time.Duration `mapstructure:"passwordInterval"`
}

// Values of RDB.Roles.
const (
	RolesNone     = "none"
	RolesPassword = "password"
)

// RDBNames are the templates of the names in the RDB engine; see identifier.Template.
type RDBNames struct {
	Database string `mapstructure:"database"`
	Schema   string `mapstructure:"schema"`
	Role     string `mapstructure:"role"`
}

// KV is the key-value engine in which users have their namespaces.
type KV struct {
	PD             []string      `mapstructure:"pd"`
	Embedded       string        `mapstructure:"embedded"`
	TLS            ClientTLS     `mapstructure:"tls"`
	Prefix         string        `mapstructure:"prefix"`
	RequestTimeout time.Duration `mapstructure:"requestTimeout"`
	SweepAfter     time.Duration `mapstructure:"sweepAfter"`
	SweepInterval  time.Duration `mapstructure:"sweepInterval"`
}

// ClientTLS names the files with which a client and its server prove who they are.
type ClientTLS struct {
	CA          string `mapstructure:"ca"`
	Certificate string `mapstructure:"certificate"`
	Key         string `mapstructure:"key"`
}

// CombinatorPods are the pods that serve users' data.
type CombinatorPods struct {
	Labels         string        `mapstructure:"labels"`
	WebhookPort    int           `mapstructure:"webhookPort"`
	WebhookTimeout time.Duration `mapstructure:"webhookTimeout"`
}
