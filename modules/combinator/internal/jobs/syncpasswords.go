package jobs

import (
	"context"
	"errors"
	"sync"

	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/rows"
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
	renewed string
}

// NewSyncPasswords defines the job.
func NewSyncPasswords(p Params) job.Definition {
	return job.Define(job.Spec{Type: SyncPasswordsType, Lane: job.SchemaLane, Timeout: periodicTimeout}, &syncPasswords{Params: p})
}

const (
	// tenantPage is how many users are looked at with one statement.
	tenantPage = 500
	// renewedAtOnce bounds how many roles one execution gives their keys without knowing whether they have them.
	renewedAtOnce = 100
)

// Execute looks at every user of the engine. One role that cannot be changed does not keep the others from it.
func (j *syncPasswords) Execute(ctx context.Context, task job.Task, _ SyncPasswords) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var failure error
	left := renewedAtOnce
	for after := ""; ; {
		tenants, err := j.Rows.Tenants(ctx, after, tenantPage)
		if err != nil {
			return databaseError("reading the users", err)
		}
		strayed, isSure, err := j.RDB.Strayed(ctx, j.withKeys(tenants))
		if err != nil {
			return unlessAway(rdbEngine, err)
		}
		for _, t := range tenants {
			after = t.UserUID
			desired, renew := j.RDB.Fingerprint(t.Key), strayed[t.UserUID]
			if !isSure && left > 0 && t.UserUID > j.renewed && t.Key != "" {
				left, j.renewed, renew = left-1, t.UserUID, true
			}
			if t.Key == "" || t.Prepared == refused+desired || t.Prepared == desired && !renew {
				continue
			}
			err := j.withTenant(ctx, task, t.UserUID, renew, func(ctx context.Context, tenant engine.Tenant) error { return j.RDB.Prepare(ctx, tenant) })
			if errors.Is(err, engine.ErrUnavailable) {
				return unlessAway(rdbEngine, err)
			}
			if err != nil && !isForeign(err) {
				failure = err
			}
		}
		if len(tenants) < tenantPage {
			if left > 0 { // the next execution begins again
				j.renewed = ""
			}
			return failure
		}
	}
}

// withKeys are those of the users that are to be let in.
func (j *syncPasswords) withKeys(tenants []rows.Tenant) (all []engine.Tenant) {
	for _, t := range tenants {
		if t.Key != "" {
			all = append(all, engine.Tenant{UserUID: t.UserUID, Key: t.Key, Place: j.RDB.Place(t.UserUID).Recorded(t.Place)})
		}
	}
	return all
}

// GiveUp has no row to write to: the next execution comes by itself.
func (j *syncPasswords) GiveUp(context.Context, job.Task, SyncPasswords, string) error { return nil }
