package jobs

import (
	"context"
	"errors"
	"sync"

	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// SyncPasswords is the payload: let users in whose roles have another key or other limits than they are to have, or cannot log in.
type SyncPasswords struct{}

// Validate accepts it.
func (SyncPasswords) Validate() error { return nil }

// OrderingKey is the type: never two at once.
func (SyncPasswords) OrderingKey() string { return SyncPasswordsType }

type syncPasswords struct {
	Params
	mu sync.Mutex
	// renewed is the last user whose role was given its key without knowing whether it has it.
	lastRenewed string
}

// NewSyncPasswords defines the job.
func NewSyncPasswords(p Params) job.Definition {
	return job.Define(job.Spec{Type: SyncPasswordsType, Lane: job.SchemaLane, Timeout: periodicTimeout}, &syncPasswords{Params: p})
}

const (
	// tenantPage is how many users are looked at with one statement.
	tenantsPageSize = 500
	// renewedAtOnce bounds how many roles one execution gives their keys without knowing whether they have them.
	maxRenewals = 100
)

// Execute looks at every user of the engine. One role that cannot be changed does not keep the others from it.
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
			err := j.withTenant(ctx, task, t.UserUID, renew, func(ctx context.Context, tenant engine.Tenant) error { return j.RDB.Prepare(ctx, tenant) })
			if errors.Is(err, engine.ErrUnavailable) {
				return periodicError(rdbEngine, err)
			}
			if err != nil && !errors.Is(err, engine.ErrOtherPlatform) {
				failure = err
			}
		}
		if len(tenants) < tenantsPageSize {
			if remaining > 0 { // the next execution begins again
				j.lastRenewed = ""
			}
			return failure
		}
	}
}

// withKeys are those of the users that are to be let in.
func (j *syncPasswords) tenantsWithKeys(tenants []store.Tenant) (all []engine.Tenant) {
	for _, t := range tenants {
		if t.Key != "" {
			all = append(all, engine.Tenant{UserUID: t.UserUID, Key: t.Key, Names: j.RDB.TenantNames(t.UserUID).WithRecorded(t.Names)})
		}
	}
	return all
}

// GiveUp has no row to write to: the next execution comes by itself.
func (j *syncPasswords) OnDiscarded(context.Context, job.Task, SyncPasswords, string) error {
	return nil
}
