package config

import (
	"errors"
	"slices"
	"strings"

	"app238.com/inner/app/identifier"
)

const (
	// sqlNameLimit is the longest name of a schema, database or role, in bytes: PostgreSQL's.
	sqlNameLimit = 63
	// prefixLimit is the longest prefix of a KV namespace, in bytes, without its last character.
	prefixLimit = 255
	// kvSeparators are what may part and end the prefixes of KV namespaces; no identifier without a hash holds them.
	kvSeparators = "_/:."
)

// faultFunc notes what is wrong with a key.
type faultFunc = func(key, format string, args ...any)

func (c *Config) validateCombinator(fault faultFunc) {
	c.validateRDB(fault)
	kv := c.Combinator.KV
	if _, err := kv.PrefixTemplate(); err != nil {
		fault("combinator.kv.prefix", "%s", err)
	}
	if len(kv.PD) > 0 && kv.Embedded != "" {
		fault("combinator.kv.embedded", "must be empty where combinator.kv.pd is set")
	}
	if t := kv.TLS; (t.Certificate == "") != (t.Key == "") || t.Certificate != "" && t.CA == "" {
		fault("combinator.kv.tls", "ca, certificate and key belong together")
	}
	if c.Combinator.Pods.Labels == "" {
		fault("combinator.pods.labels", "required")
	}
}

func (c *Config) validateRDB(fault faultFunc) {
	rdb := c.Combinator.RDB
	if !slices.Contains([]string{RolesNone, RolesLogin, RolesPassword}, rdb.Roles) {
		fault("combinator.rdb.roles", "must be %s, %s or %s", RolesPassword, RolesLogin, RolesNone)
	}
	database, schema, role, err := rdb.Names.Templates()
	switch {
	case err != nil:
		fault("combinator.rdb.names", "%s", err)
	case rdb.Names.Database != "" && (!database.Uses(identifier.UserUID) || database.Uses(identifier.ResourceID)):
		fault("combinator.rdb.names.database", "must hold %s alone, or be empty", identifier.UserUID)
	case !schema.Uses(identifier.ResourceID):
		fault("combinator.rdb.names.schema", "must hold %s", identifier.ResourceID)
	case rdb.Names.Database == "" && !schema.Uses(identifier.UserUID):
		fault("combinator.rdb.names.schema", "must hold %s where all users share a database", identifier.UserUID)
	case !role.Uses(identifier.UserUID) || role.Uses(identifier.ResourceID):
		fault("combinator.rdb.names.role", "must hold %s alone", identifier.UserUID)
	}
}

// Templates parses the templates; that of the database is of no use where it is empty.
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

// Prefix makes the prefixes of KV namespaces: a name and the character that ends it.
type Prefix struct {
	template identifier.Template
	end      string
}

// PrefixTemplate parses the template of the prefixes. It ends with a separator, so that no prefix begins another.
func (k KV) PrefixTemplate() (Prefix, error) {
	last := len(k.Prefix) - 1
	if last < 0 || !strings.Contains(kvSeparators, k.Prefix[last:]) || k.Prefix[last] == '_' {
		return Prefix{}, errors.New("the last character must be / or : or a full stop")
	}
	t, err := identifier.ParseTemplate(k.Prefix[:last], kvSeparators, prefixLimit)
	switch {
	case err != nil:
		return Prefix{}, err
	case !t.Uses(identifier.UserUID) || !t.Uses(identifier.ResourceID):
		return Prefix{}, errors.New("must hold " + identifier.UserUID + " and " + identifier.ResourceID)
	}
	return Prefix{template: t, end: k.Prefix[last:]}, nil
}

// Name is the prefix of a resource's keys.
func (p Prefix) Name(userUID, resourceID string) string {
	return p.template.Name(userUID, resourceID) + p.end
}

func (c *Config) validateAccess(fault faultFunc) {
	known := []string{SecretRoutes, UsageRoutes, TaskRoutes, WorkerRoutes, OperationRoutes}
	for kind, a := range c.HTTP.Access {
		key := "http.access." + kind
		if !slices.Contains(known, kind) {
			fault(key, "unknown; the kinds of routes are %s", strings.Join(known, ", "))
		}
		switch a.Mode {
		case AccessNone, AccessCombinatorPods:
		case AccessPods:
			if !dnsLabel.MatchString(a.Namespace) || a.Labels == "" {
				fault(key, "namespace and labels are required with mode %s", AccessPods)
			}
		case AccessToken:
			if a.Audience == "" || len(a.Subjects) == 0 {
				fault(key, "audience and subjects are required with mode %s", AccessToken)
			}
		default:
			fault(key+".mode", "must be %s, %s, %s or %s", AccessCombinatorPods, AccessPods, AccessToken, AccessNone)
		}
	}
}
