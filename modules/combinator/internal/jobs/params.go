// Package jobs holds the jobs of combinator, one file a job type.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/fx"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/identifier"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/rows"
	"app238.com/inner/modules/tasks/job"
)

// Params are what the jobs of combinator work with.
type Params struct {
	fx.In

	Rows  Rows
	RDB   engine.RDB
	KV    engine.KV
	Queue job.Queue
	Pods  Pods
}

// Ref names a resource in a payload.
type Ref struct {
	UserUID    string `json:"user_uid"`
	ResourceID string `json:"resource_id"`
}

// UnmarshalJSON also takes the names under which the existing Outer sends the ids: UserUID and ResourceID.
func (r *Ref) UnmarshalJSON(data []byte) error {
	var sent struct {
		UserUID         string `json:"user_uid"`
		ResourceID      string `json:"resource_id"`
		OuterUserUID    string `json:"UserUID"`
		OuterResourceID string `json:"ResourceID"`
	}
	if err := json.Unmarshal(data, &sent); err != nil {
		return err
	}
	*r = Ref{UserUID: sent.UserUID, ResourceID: sent.ResourceID}
	if r.UserUID == "" {
		r.UserUID = sent.OuterUserUID
	}
	if r.ResourceID == "" {
		r.ResourceID = sent.OuterResourceID
	}
	return nil
}

// unmarshalBoth decodes an object into the resource that it names and into the rest of a payload.
func unmarshalBoth(data []byte, r *Ref, rest any) error {
	if err := json.Unmarshal(data, r); err != nil {
		return err
	}
	return json.Unmarshal(data, rest)
}

// Validate checks both ids.
func (r Ref) Validate() error {
	if err := identifier.Check("user_uid", r.UserUID); err != nil {
		return err
	}
	return identifier.Check("resource_id", r.ResourceID)
}

// OrderingKey is the resource.
func (r Ref) OrderingKey() string { return OrderingKey(r.resource()) }

// OrderingKey names a resource in the order of tasks.
func OrderingKey(r engine.Resource) string {
	return fmt.Sprintf("resource/%s/%s", r.UserUID, r.ResourceID)
}

func (r Ref) resource() engine.Resource {
	return engine.Resource{UserUID: r.UserUID, ResourceID: r.ResourceID}
}

// UserRef names a user in a payload.
type UserRef struct {
	UserUID string `json:"user_uid"`
}

// Validate checks the id.
func (u UserRef) Validate() error { return identifier.Check("user_uid", u.UserUID) }

// OrderingKey is the user.
func (u UserRef) OrderingKey() string { return TenantKey(u.UserUID) }

// TenantKey names a user in the order of tasks.
func TenantKey(userUID string) string { return "user/" + userUID }

// busyWait is how soon a job looks again where others hold what it is to change. They may do so for as long as they like, so the
// wait grows: what one user holds must not take the time in which others are served.
const busyWait = 5 * time.Second

// turnWait is how long a job lets others before it goes on with what is done a part at a time.
const turnWait = 2 * time.Second

// elsewhereWait is how soon a job looks again whether the templates of names were put right.
const elsewhereWait = time.Minute

// engineError says what an error of an engine means for a task.
func engineError(name string, err error) error {
	if kept, ok := errors.AsType[*engine.Kept](err); ok {
		return job.NewFailed(kept.Error(), nil)
	}
	if foreign, ok := errors.AsType[*engine.Foreign](err); ok {
		e := job.NewPermanent("%s in the %s was made by another platform, and stays", foreign.What, name)
		e.Cause = err
		return e
	}
	switch {
	case errors.Is(err, engine.ErrNotConfigured):
		return job.NewPermanent("this platform has no %s", name)
	case errors.Is(err, engine.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return job.NewUnavailable(name, err)
	case errors.Is(err, engine.ErrBusy):
		e := job.NewLater(busyWait, "waiting until the "+name+" is done with what it holds of this resource")
		e.Cause, e.Growing, e.Longest = err, true, config.LongestSnooze
		return e
	case errors.Is(err, engine.ErrUnfinished):
		return job.NewLater(turnWait, "a part of it is removed, the rest follows")
	case errors.Is(err, engine.ErrElsewhere):
		// The row stays as it is: the data is there, and the configuration is to be put right.
		e := job.NewLater(elsewhereWait, "waiting until the configuration gives this the name that it has in the "+name)
		e.Cause = err
		return e
	case errors.Is(err, engine.ErrUnusable):
		e := job.NewPermanent("the %s cannot take this: see the log", name)
		e.Cause = err
		return e
	}
	return job.NewFailed("the "+name+" refused", err)
}

// Names of the engines in texts for users.
const (
	rdbEngine = "RDB engine"
	kvEngine  = "KV engine"
)

// databaseError says what an error of the database means for a task.
func databaseError(what string, err error) error {
	switch {
	case errors.Is(err, rows.ErrNoResource), errors.Is(err, rows.ErrNoUser):
		return job.NewPermanent("%s", err.Error())
	case database.IsUnavailable(err):
		return job.NewUnavailable("database", err)
	}
	return job.NewFailed(what+" failed", err)
}

// tenantWait is how soon a job tries again whose user's lease another one holds.
const tenantWait = time.Second

// tenantError says what came of work on a user of the RDB engine under the lease of that user: failure is the engine's, err
// the database's.
func tenantError(failure, err error) error {
	switch {
	case failure != nil:
		return engineError(rdbEngine, failure)
	case errors.Is(err, rows.ErrBusy), errors.Is(err, rows.ErrVoid):
		e := job.NewLater(tenantWait, "waiting until the "+rdbEngine+" is done with another task of the same user")
		e.Cause, e.Growing = err, true
		return e
	case err != nil:
		return databaseError("leasing the user", err)
	}
	return nil
}

// tenant is a user as the RDB engine has to know it.
func (p Params) tenant(userUID string, t rows.Leased) engine.Tenant {
	return engine.Tenant{UserUID: userUID, Place: p.RDB.Place(userUID).Recorded(t.Place), Own: t.Own}
}

// aliases are the names of a job type in the guideline, with and without Job.
func aliases(names ...string) []string {
	var all []string
	for _, name := range names {
		all = append(all, name, name+"Job")
	}
	return all
}
