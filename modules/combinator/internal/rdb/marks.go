package rdb

import (
	"strings"

	"app238.com/inner/app/identifier"
	"app238.com/inner/modules/combinator/internal/engine"
)

// A mark is the comment by which Inner knows what it has made, and for whom: "inner-gateway <platform> <user>" on roles and
// databases, "inner-gateway <platform> <user>/<resource>" on schemas. Those of an earlier release name no platform, and stood
// on schemas alone.
const marked = "inner-gateway "

// owner is whose a thing is.
type owner int

const (
	// nobodys has no mark, or one without a platform.
	nobodys owner = iota
	ours
	// foreign is another platform's, or another user's.
	foreign
)

// whom is what a schema's mark says of its resource.
func whom(r engine.Resource) string { return r.UserUID + "/" + r.ResourceID }

// mark is what stands on what this platform makes for someone.
func (e *Engine) mark(whom string) string { return marked + e.platform + " " + whom }

// owner tells whose a thing with this mark is, which is to be someone's.
func (e *Engine) owner(mark, whom string) owner {
	text, ok := strings.CutPrefix(mark, marked)
	switch {
	case mark == e.mark(whom):
		return ours
	case !ok, text == whom:
		return nobodys
	}
	return foreign
}

// found reads the mark of a schema. It returns false for schemas that neither this platform has made nor an earlier release
// that gave them this name.
func (e *Engine) found(name, mark string) (engine.Found, bool) {
	text, ok := strings.CutPrefix(mark, marked)
	if !ok {
		return engine.Found{}, false
	}
	owned, isOurs := strings.CutPrefix(text, e.platform+" ")
	userUID, resourceID, whole := strings.Cut(owned, "/")
	if !whole || identifier.Check("user_uid", userUID) != nil || identifier.Check("resource_id", resourceID) != nil {
		return engine.Found{}, false
	}
	r := engine.Resource{UserUID: userUID, ResourceID: resourceID}
	return engine.Found{Resource: r, Unclaimed: !isOurs}, isOurs || e.Name(r) == name
}
