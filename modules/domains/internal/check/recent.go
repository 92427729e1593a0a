package check

import (
	"context"
	"sync"
	"time"

	"app238.com/inner/modules/domains/internal/store"
)

const (
	// recentFor is how long the status of a domain that was verified is looked after: Outer writes its own a minute after it added one.
	recentFor = 3 * time.Minute
	// recentLimit is the most domains of which it is; that of the others is put right with all rows.
	recentLimit = 1000
)

// recent are the domains that were verified lately. While there are none they cost the database nothing.
type recent struct {
	now func() time.Time

	mu     sync.Mutex
	loaded bool
	known  map[string]verified
}

// verified is a domain's user, and until when it is recent.
type verified struct {
	user  string
	until time.Time
}

func newRecent() *recent { return &recent{now: time.Now, known: map[string]verified{}} }

// add adds a domain. Where there are too many, one goes of the user who has the most.
func (r *recent) add(user, cdid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[cdid] = verified{user, r.now().Add(recentFor)}
	if len(r.known) <= recentLimit {
		return
	}
	count := map[string]int{}
	for _, v := range r.known {
		count[v.user]++
	}
	var drop string
	for other, v := range r.known {
		if of := r.known[drop]; drop == "" || count[v.user] > count[of.user] || count[v.user] == count[of.user] && v.until.Before(of.until) {
			drop = other
		}
	}
	delete(r.known, drop)
}

// list returns those that are recent still.
func (r *recent) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var cdids []string
	for cdid, v := range r.known {
		if r.now().After(v.until) {
			delete(r.known, cdid)
			continue
		}
		cdids = append(cdids, cdid)
	}
	return cdids
}

// load adds once what was verified before this process was there.
func (r *recent) load(ctx context.Context, s *store.Store) error {
	if r.loaded {
		return nil
	}
	found, err := s.Recent(ctx, recentFor, recentLimit)
	if err != nil {
		return err
	}
	r.loaded = true
	for _, one := range found {
		r.add(one.UserUID, one.CDID)
	}
	return nil
}

// KeepStatus writes the status of domains that were verified lately where somebody wrote over it. It is for one goroutine.
func (c *Checker) KeepStatus(ctx context.Context) error {
	if err := c.recent.load(ctx, c.store); err != nil {
		return err
	}
	return c.store.SetStatus(ctx, c.recent.list())
}
