package rdb

import (
	"context"
	"crypto/sha256"

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
	for role, password := range kept {
		if password == "-" || password != "" && !e.opens(role, password, owners[role].Key) {
			strayed[owners[role].UserUID] = true
		}
	}
	return strayed, isSure, nil
}

// opens tells whether a key is the one of which a server keeps this. What was found is remembered: to find it out is as much work as a login.
func (e *Engine) opens(role, kept, key string) bool {
	sum := sha256.Sum256([]byte(kept + "\n" + key))
	e.mu.Lock()
	known := e.opened[role] == sum
	e.mu.Unlock()
	if known {
		return true
	}
	if !verifies(kept, key) {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.opened[role] = sum
	return true
}
