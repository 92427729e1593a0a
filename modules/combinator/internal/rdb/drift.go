package rdb

import (
	"context"
	"crypto/sha256"
	"sync"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

const (
	// keptVerifiers are what a PostgreSQL keeps of the passwords of some roles; those that cannot log in have none.
	passwordVerifiers = `SELECT r.rolname, CASE WHEN r.rolcanlogin THEN COALESCE(r.rolpassword, 'none') ELSE '-' END FROM pg_authid r WHERE r.rolname = ANY($1::TEXT[])`
	// mayLogIn tells the same of those that cannot.
	loginRights = `SELECT r.rolname, CASE WHEN r.rolcanlogin THEN '' ELSE '-' END FROM pg_roles r WHERE r.rolname = ANY($1::TEXT[])`
)

// Strayed implements engine.RDB. A role may always give itself another password.
func (e *Engine) ListDrifted(ctx context.Context, tenants []engine.Tenant) (drifted map[string]bool, isSure bool, err error) {
	d, err := e.getDialect(ctx)
	if err != nil {
		return nil, false, err
	}
	owners, names := map[string]engine.Tenant{}, make([]string, 0, len(tenants))
	for _, t := range tenants {
		owners[t.Names.Role] = t
		names = append(names, t.Names.Role)
	}
	kept := map[string]string{}
	add := func(role, password string) { kept[role] = password }
	// Without a password that Inner gives there is none to be changed, nor where a role may not.
	isSure = e.config.Roles != config.RolesPassword || d.passwordVerifiers == ""
	if !isSure {
		err = e.forEachRow(ctx, "", func() { clear(kept) }, add, d.passwordVerifiers, database.Array(names))
		isSure = err == nil
	}
	if len(kept) == 0 && (err == nil || database.IsForbidden(err)) {
		err = e.forEachRow(ctx, "", func() { clear(kept) }, add, loginRights, database.Array(names))
	}
	if err != nil {
		return nil, false, err
	}
	drifted = map[string]bool{}
	left := maxVerifications
	for role, password := range kept {
		switch key := owners[role].Key; {
		case password == "-":
			drifted[owners[role].UserUID] = true
		case password == "" || e.verifiedKeys.has(role, password, key):
		case left == 0: // the next time
		default:
			left--
			if verifyPassword(password, key) {
				e.verifiedKeys.add(role, password, key)
			} else {
				drifted[owners[role].UserUID] = true
			}
		}
	}
	return drifted, isSure, nil
}

// verifiedAtOnce bounds how many passwords one call verifies: each takes as much work as a login, and others wait for their
// schemas meanwhile.
const maxVerifications = 50

// verified remembers, by a hash, which key opens which role with what the server keeps of its password.
type verifiedKeys struct {
	mu  sync.Mutex
	sum map[string][sha256.Size]byte
}

func (v *verifiedKeys) has(role, kept, key string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sum[role] == sha256.Sum256([]byte(kept+"\n"+key))
}

func (v *verifiedKeys) add(role, kept, key string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sum == nil {
		v.sum = map[string][sha256.Size]byte{}
	}
	v.sum[role] = sha256.Sum256([]byte(kept + "\n" + key))
}
