package pgbouncer

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// runAs is Debian's account for PostgreSQL and PgBouncer.
const runAs = "postgres"

// account is the user that the pooler runs as, nil for the user of this process: PgBouncer refuses to run as root.
func account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	found, err := user.Lookup(runAs)
	if err != nil {
		return nil, fmt.Errorf("PgBouncer does not run as root and user %s is missing: %w", runAs, err)
	}
	uid, err := strconv.ParseUint(found.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read the id of user %s: %w", runAs, err)
	}
	gid, err := strconv.ParseUint(found.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read the group of user %s: %w", runAs, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
