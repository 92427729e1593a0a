package jobs

import (
	"context"
	"errors"
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

// Execute checks every user of the engine. One role that cannot be changed does not stop the others.
func (j *syncPasswords) Execute(ctx context.Context, task job.Task, _ SyncPasswords) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var failure error
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
			if errors.Is(err, engine.ErrUnavailable) {
				return periodicError(rdbEngine, err)
			}
			if err != nil && !isOtherPlatform(err) {
				failure = err
			}
		}
		if len(tenants) < tenantsPageSize {
			if remaining > 0 { // the next execution starts with the first user
				j.lastRenewed = ""
			}
			return failure
		}
	}
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
