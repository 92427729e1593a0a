package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// SyncPasswords is the payload: prepare the users again whose roles lack their present key or limits, or cannot log in.
type SyncPasswords struct{}

// Validate returns nil.
func (SyncPasswords) Validate() error { return nil }

// OrderingKey is the type, so that executions do not overlap.
func (SyncPasswords) OrderingKey() string { return SyncPasswordsType }

type syncPasswords struct {
	Params
	mu sync.Mutex
	// lastRenewed is the last user whose role got its key without a check of the present one.
	lastRenewed string
}

// NewSyncPasswords defines the job.
func NewSyncPasswords(p Params) job.Definition {
	return job.Define(job.Spec{Type: SyncPasswordsType, Lane: job.SchemaLane, Timeout: periodicTimeout}, &syncPasswords{Params: p})
}

const (
	// tenantsPageSize is the number of users per query.
	tenantsPageSize = 500
	// maxRenewals bounds the roles that get their keys in one execution without a check of the present one.
	maxRenewals = 100
)

// Execute checks every user of the engine. One role that cannot be changed, or own database that cannot be reached, does not
// stop the others.
func (j *syncPasswords) Execute(ctx context.Context, task job.Task, _ SyncPasswords) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var failed failures
	remaining := maxRenewals
	for after := ""; ; {
		tenants, err := j.Store.ListTenants(ctx, after, tenantsPageSize)
		if err != nil {
			return databaseError("reading the users", err)
		}
		drifted, isSure, err := j.RDB.ListDrifted(ctx, j.tenantsWithKeys(tenants))
		if err != nil {
			return periodicError(rdbEngine, err)
		}
		for _, t := range tenants {
			after = t.UserUID
			desired, renew := j.RDB.Fingerprint(t.Key), drifted[t.UserUID]
			if !isSure && remaining > 0 && t.UserUID > j.lastRenewed && t.Key != "" {
				remaining, j.lastRenewed, renew = remaining-1, t.UserUID, true
			}
			if t.Key == "" || t.Prepared == otherPlatformPrefix+desired || t.Prepared == desired && !renew {
				continue
			}
			err := j.withTenant(ctx, task, t.UserUID, renew, j.RDB.Prepare)
			switch {
			case err == nil, isOtherPlatform(err):
			case errors.Is(err, engine.ErrUnavailable) && !errors.Is(err, engine.ErrDatabaseUnavailable):
				return periodicError(rdbEngine, err)
			default:
				failed.add(err)
				if ctx.Err() != nil {
					return failed.err()
				}
			}
		}
		if len(tenants) < tenantsPageSize {
			if remaining > 0 { // the next execution starts with the first user
				j.lastRenewed = ""
			}
			return failed.err()
		}
	}
}

// failures counts the users whose roles could not be prepared in one execution.
type failures struct {
	count int
	// one is the failure of one of them, a snooze only if all are.
	one *job.Error
}

func (f *failures) add(err error) {
	e := job.AsError(err)
	if errors.Is(err, engine.ErrDatabaseUnavailable) {
		e = job.NewTerminal("the user's own database is unavailable; the next periodic execution tries again")
		e.Cause = err
	}
	f.count++
	if f.one == nil || f.one.Kind == job.Snooze {
		f.one = e
	}
}

// err returns nil without failures.
func (f *failures) err() error {
	if f.count == 0 {
		return nil
	}
	e := *f.one
	e.Text = fmt.Sprintf("users whose roles are not up to date: %d; one of them: %s", f.count, e.Text)
	return &e
}

// tenantsWithKeys returns the users that have a key.
func (j *syncPasswords) tenantsWithKeys(tenants []store.Tenant) (all []engine.Tenant) {
	for _, t := range tenants {
		if t.Key != "" {
			all = append(all, engine.Tenant{UserUID: t.UserUID, Key: t.Key, Names: j.RDB.TenantNames(t.UserUID).WithRecorded(t.Names)})
		}
	}
	return all
}
