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
	// roleVerifiers reads the password verifiers that PostgreSQL stores for some roles; "-" for roles that cannot log
	// in.
	roleVerifiers = `SELECT r.rolname, CASE WHEN r.rolcanlogin THEN COALESCE(r.rolpassword, 'none') ELSE '-' END FROM pg_authid r WHERE r.rolname = ANY($1::TEXT[])`
	// loginRights reads "-" for roles that cannot log in.
	loginRights = `SELECT r.rolname, CASE WHEN r.rolcanlogin THEN '' ELSE '-' END FROM pg_roles r WHERE r.rolname = ANY($1::TEXT[])`
)

// ListDrifted implements engine.RDB. On PostgreSQL a role may always change its own password.
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
	verifiers := map[string]string{}
	add := func(role, verifier string) { verifiers[role] = verifier }
	// Without passwords of Inner, or where a role may not change its own, there is nothing to verify.
	isSure = e.config.Roles != config.RolesPassword || d.roleVerifiers == ""
	if !isSure {
		err = e.forEachRow(ctx, "", func() { clear(verifiers) }, add, d.roleVerifiers, database.Array(names))
		isSure = err == nil
	}
	if len(verifiers) == 0 && (err == nil || database.IsForbidden(err)) {
		err = e.forEachRow(ctx, "", func() { clear(verifiers) }, add, loginRights, database.Array(names))
	}
	if err != nil {
		return nil, false, err
	}
	drifted = map[string]bool{}
	left := maxVerifications
	for role, verifier := range verifiers {
		switch key := owners[role].Key; {
		case verifier == "-":
			drifted[owners[role].UserUID] = true
		case verifier == "" || e.verifiedKeys.has(role, verifier, key):
		case left == 0: // left to the next call
		default:
			left--
			if verifyPassword(verifier, key) {
				e.verifiedKeys.add(role, verifier, key)
			} else {
				drifted[owners[role].UserUID] = true
			}
		}
	}
	return drifted, isSure, nil
}

// maxVerifications bounds the passwords that one call verifies: each takes as much work as a login, and other users wait for
// the lane meanwhile.
const maxVerifications = 50

// verifiedKeys caches, as a hash, which key matches the stored verifier of which role.
type verifiedKeys struct {
	mu  sync.Mutex
	sum map[string][sha256.Size]byte
}

func (v *verifiedKeys) has(role, verifier, key string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sum[role] == sha256.Sum256([]byte(verifier+"\n"+key))
}

func (v *verifiedKeys) add(role, verifier, key string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.sum == nil {
		v.sum = map[string][sha256.Size]byte{}
	}
	v.sum[role] = sha256.Sum256([]byte(verifier + "\n" + key))
}
