package jobs

import (
	"encoding/json"
	"fmt"

	"app238.com/inner/app/identifier"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/tasks/job"
)

// Ref names a resource in a payload.
type Ref struct {
	UserUID    string `json:"user_uid"`
	ResourceID string `json:"resource_id"`
}

// UnmarshalJSON also accepts the names under which the existing Outer sends the ids: UserUID and ResourceID.
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

// unmarshalWithRef decodes an object into its Ref and into the other fields of a payload.
func unmarshalWithRef(data []byte, r *Ref, rest any) error {
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

// OrderingKey returns the ordering key of all tasks about a resource.
func OrderingKey(r engine.Resource) string {
	return fmt.Sprintf("resource/%s/%s", r.UserUID, r.ResourceID)
}

func (r Ref) resource() engine.Resource {
	return engine.Resource{UserUID: r.UserUID, ResourceID: r.ResourceID}
}

// Removal is the payload of a deletion. The Outer Gateway sends one for a resource whose row may still exist.
type Removal struct {
	Ref
	// Orphan is true when the audit found the resource without a row: a row that is there again, restored say, keeps it.
	Orphan bool `json:"orphan,omitempty"`
}

// UnmarshalJSON accepts the names that Ref accepts.
func (r *Removal) UnmarshalJSON(data []byte) error {
	var sent struct {
		Orphan bool `json:"orphan"`
	}
	err := unmarshalWithRef(data, &r.Ref, &sent)
	r.Orphan = sent.Orphan
	return err
}

// errReferenced ends the deletion of an orphan that has a row again.
func errReferenced() error { return job.NewTerminal("the resource has a row again, and is kept") }

// UserRef names a user in a payload.
type UserRef struct {
	UserUID string `json:"user_uid"`
}

// Validate checks the id.
func (u UserRef) Validate() error { return identifier.Check("user_uid", u.UserUID) }

// OrderingKey is the user.
func (u UserRef) OrderingKey() string { return TenantKey(u.UserUID) }

// TenantKey returns the ordering key of all tasks about a user.
func TenantKey(userUID string) string { return "user/" + userUID }
