package postgres

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account is the user that the server runs as.
type account struct {
	credential *syscall.Credential // nil: the user of this process
}

// serverAccount chooses the user: PostgreSQL refuses to run as root.
func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	found, err := user.Lookup(superuser)
	if err != nil {
		return account{}, fmt.Errorf("PostgreSQL does not run as root and its own user is missing: %w", err)
	}
	uid, err := strconv.ParseUint(found.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("read the id of user %s: %w", superuser, err)
	}
	gid, err := strconv.ParseUint(found.Gid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("read the group of user %s: %w", superuser, err)
	}
	return account{credential: &syscall.Credential{Gid: uint32(gid), Uid: uint32(uid)}}, nil
}

// own gives a path to the account.
func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	return os.Chown(path, int(a.credential.Uid), int(a.credential.Gid))
}
