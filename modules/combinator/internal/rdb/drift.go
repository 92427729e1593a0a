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
	keptVerifiers = `SELECT r.rolname, CASE WHEN r.rolcanlogin THEN COALESCE(r.rolpassword, 'none') ELSE '-' END FROM pg_authid r WHERE r.rolname = ANY($1::TEXT[])`
	// mayLogIn tells the same of those that cannot.
	mayLogIn = `SELECT r.rolname, CASE WHEN r.rolcanlogin THEN '' ELSE '-' END FROM pg_roles r WHERE r.rolname = ANY($1::TEXT[])`
)

// Strayed implements engine.RDB. A role may always give itself another password.
func (e *Engine) Strayed(ctx context.Context, tenants []engine.Tenant) (strayed map[string]bool, isSure bool, err error) {
	d, err := e.speaks(ctx)
	if err != nil {
		return nil, false, err
	}
	owners, names := map[string]engine.Tenant{}, make([]string, 0, len(tenants))
	for _, t := range tenants {
		owners[t.Place.Role] = t
		names = append(names, t.Place.Role)
	}
	kept := map[string]string{}
	note := func(role, password string) { kept[role] = password }
	// Without a password that Inner gives there is none to be changed, nor where a role may not.
	isSure = e.config.Roles != config.RolesPassword || d.keptVerifiers == ""
	if !isSure {
		err = e.each(ctx, "", func() { clear(kept) }, note, d.keptVerifiers, database.Array(names))
		isSure = err == nil
	}
	if len(kept) == 0 && (err == nil || database.IsForbidden(err)) {
		err = e.each(ctx, "", func() { clear(kept) }, note, mayLogIn, database.Array(names))
	}
	if err != nil {
		return nil, false, err
	}
	strayed = map[string]bool{}
	left := verifiedAtOnce
	for role, password := range kept {
		switch key := owners[role].Key; {
		case password == "-":
			strayed[owners[role].UserUID] = true
		case password == "" || e.opened.has(role, password, key):
		case left == 0: // the next time
		default:
			left--
			if verifies(password, key) {
				e.opened.add(role, password, key)
			} else {
				strayed[owners[role].UserUID] = true
			}
		}
	}
	return strayed, isSure, nil
}

// verifiedAtOnce bounds how many passwords one call verifies: each takes as much work as a login, and others wait for their
// schemas meanwhile.
const verifiedAtOnce = 50

// verified remembers, by a hash, which key opens which role with what the server keeps of its password.
type verified struct {
	mu  sync.Mutex
	sum map[string][sha256.Size]byte
}

func (v *verified) has(role, kept, key string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sum[role] == sha256.Sum256([]byte(kept+"\n"+key))
}

func (v *verified) add(role, kept, key string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sum == nil {
		v.sum = map[string][sha256.Size]byte{}
	}
	v.sum[role] = sha256.Sum256([]byte(kept + "\n" + key))
}
