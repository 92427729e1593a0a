package jobs

import (
	"context"
	"errors"

	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// otherPlatformPrefix begins the recorded fingerprint of a role that could not be prepared because an object of its name belongs
// to another platform, so that periodic jobs do not try again.
const otherPlatformPrefix = "foreign "

// withTenant runs work on a user of the RDB engine under the user's lease, and records the fingerprint of the prepared role. With
// renew the role is prepared again.
func (p Params) withTenant(
	ctx context.Context, t job.Task, userUID string, renew bool, work func(ctx context.Context, tenant engine.Tenant) error,
) error {
	key, err := p.Store.SecretKey(ctx, userUID)
	if err != nil {
		return databaseError("reading the user", err)
	}
	desired, names := p.RDB.Fingerprint(key), p.RDB.TenantNames(userUID)
	for {
		var failure error
		err = p.Store.WithTenant(ctx, t.ID, userUID, &names, func(ctx context.Context, known store.LeasedTenant) (string, error) {
			tenant := p.tenant(userUID, known)
			tenant.Key, tenant.Stale = key, renew || known.Prepared != desired
			failure = work(ctx, tenant)
			switch {
			case isOtherPlatform(failure):
				return otherPlatformPrefix + desired, nil
			case errors.Is(failure, engine.ErrMissing):
				return store.PreparedUnknown, nil // the user is stale from now on, until everything was created again
			}
			return desired, failure
		})
		switch {
		case failure != nil && !errors.Is(failure, engine.ErrMissing):
			return engineError(rdbEngine, failure)
		case failure == nil || err != nil:
			return leaseError(err)
		}
	}
}

func isOtherPlatform(err error) bool { return errors.As(err, new(*engine.OtherPlatformError)) }

// tenant returns what the RDB engine needs to know of a user.
func (p Params) tenant(userUID string, t store.LeasedTenant) engine.Tenant {
	return engine.Tenant{UserUID: userUID, Names: p.RDB.TenantNames(userUID).WithRecorded(t.Names), Owned: t.Owned}
}
