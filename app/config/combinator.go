package config

import (
	"errors"
	"slices"
	"strings"
	"time"

	"app238.com/inner/app/identifier"
)

// Combinator are the settings of users' data: the RDB engine, the KV engine, and the pods that serve both.
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
	// RolesNone: users have no roles.
	RolesNone = "none"
	// RolesLogin: each user has a role, which logs in without a password.
	RolesLogin = "login"
	// RolesPassword: each user has a role, whose password is the user's secret key.
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

// ClientTLS names the files for mutual TLS with a server.
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

func combinatorLimits() limits {
	return limits{
		numbers: map[string][2]float64{
			"combinator.rdb.schemasPerUser":     {0, 1_000_000},
			"combinator.rdb.connectionLimit":    {0, 100_000},
			"combinator.rdb.maxOpenConnections": {1, 10_000},
			"combinator.pods.webhookPort":       {1, maxPort},
		},
		durations: map[string][2]time.Duration{
			"combinator.rdb.statementTimeout":       {100 * time.Millisecond, day},
			"combinator.rdb.idleTransactionTimeout": {100 * time.Millisecond, day},
			"combinator.rdb.connectTimeout":         {100 * time.Millisecond, 5 * time.Minute},
			"combinator.rdb.requestTimeout":         {time.Second, time.Hour},
			"combinator.rdb.lockTimeout":            {100 * time.Millisecond, time.Hour},
			"combinator.rdb.maxConnectionLifetime":  {minConnectionLifetime, week},
			"combinator.rdb.measureInterval":        {time.Second, year},
			"combinator.rdb.passwordInterval":       {time.Second, week},
			"combinator.kv.requestTimeout":          {100 * time.Millisecond, 10 * time.Minute},
			"combinator.kv.sweepAfter":              {time.Second, year},
			"combinator.kv.sweepInterval":           {time.Second, year},
			"combinator.pods.webhookTimeout":        {10 * time.Millisecond, time.Minute},
		},
	}
}

const (
	// sqlNameLimit is the longest name of a schema, database or role, in bytes: PostgreSQL's.
	sqlNameLimit = 63
	// prefixLimit is the longest prefix of a KV namespace, in bytes, without its last character.
	prefixLimit = 255
	// kvSeparators may separate and end the parts of a KV prefix; no identifier without a hash contains them.
	kvSeparators = "_/:."
)

func (c Combinator) validate(invalid invalidFunc) {
	c.RDB.validate(invalid)
	c.KV.validate(invalid)
	if c.Pods.Labels == "" {
		invalid("combinator.pods.labels", "required")
	}
}

func (kv KV) validate(invalid invalidFunc) {
	if _, err := kv.PrefixTemplate(); err != nil {
		invalid("combinator.kv.prefix", "%s", err)
	}
	if len(kv.PD) > 0 && kv.Embedded != "" {
		invalid("combinator.kv.embedded", "must be empty where combinator.kv.pd is set")
	}
	if t := kv.TLS; (t.Certificate == "") != (t.Key == "") || t.Certificate != "" && t.CA == "" {
		invalid("combinator.kv.tls", "ca, certificate and key must be set together")
	}
}

func (rdb RDB) validate(invalid invalidFunc) {
	invalid.atMost("combinator.rdb.lockTimeout", rdb.LockTimeout, "combinator.rdb.requestTimeout", rdb.RequestTimeout)
	if !slices.Contains([]string{RolesNone, RolesLogin, RolesPassword}, rdb.Roles) {
		invalid("combinator.rdb.roles", "must be %s, %s or %s", RolesPassword, RolesLogin, RolesNone)
	}
	database, schema, role, err := rdb.Names.Templates()
	switch {
	case err != nil:
		invalid("combinator.rdb.names", "%s", err)
	case rdb.Names.Database != "" && (!database.Uses(identifier.UserUID) || database.Uses(identifier.ResourceID)):
		invalid("combinator.rdb.names.database", "must hold %s alone, or be empty", identifier.UserUID)
	case !schema.Uses(identifier.ResourceID):
		invalid("combinator.rdb.names.schema", "must hold %s", identifier.ResourceID)
	case rdb.Names.Database == "" && !schema.Uses(identifier.UserUID):
		invalid("combinator.rdb.names.schema", "must hold %s where all users share a database", identifier.UserUID)
	case !role.Uses(identifier.UserUID) || role.Uses(identifier.ResourceID):
		invalid("combinator.rdb.names.role", "must hold %s alone", identifier.UserUID)
	}
}

// Templates parses the templates; the database's is unusable where the setting is empty.
func (n RDBNames) Templates() (database, schema, role identifier.Template, err error) {
	parse := func(pattern string) (t identifier.Template) {
		if err == nil {
			t, err = identifier.ParseTemplate(pattern, "_", sqlNameLimit)
		}
		return t
	}
	if n.Database != "" {
		database = parse(n.Database)
	}
	schema, role = parse(n.Schema), parse(n.Role)
	return database, schema, role, err
}

// Prefix builds the prefixes of KV namespaces: a name and the character that ends it.
type Prefix struct {
	template identifier.Template
	end      string
}

// PrefixTemplate parses the template of the prefixes. It ends with a separator, so that no prefix is the beginning of another.
func (kv KV) PrefixTemplate() (Prefix, error) {
	last := len(kv.Prefix) - 1
	if last < 0 || !strings.Contains(kvSeparators, kv.Prefix[last:]) || kv.Prefix[last] == '_' {
		return Prefix{}, errors.New("the last character must be / or : or a full stop")
	}
	t, err := identifier.ParseTemplate(kv.Prefix[:last], kvSeparators, prefixLimit)
	switch {
	case err != nil:
		return Prefix{}, err
	case !t.Uses(identifier.UserUID) || !t.Uses(identifier.ResourceID):
		return Prefix{}, errors.New("must hold " + identifier.UserUID + " and " + identifier.ResourceID)
	}
	return Prefix{template: t, end: kv.Prefix[last:]}, nil
}

// Name is the prefix of a resource's keys.
func (p Prefix) Name(userUID, resourceID string) string {
	return p.template.Name(userUID, resourceID) + p.end
}
