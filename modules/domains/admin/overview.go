// Package admin is what operators may see of custom domains and have done with them. It needs the database, and for
// checks the DNS; nothing of the cluster.
package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Domains shows and checks custom domains.
type Admin interface {
	// List returns the domains that match, the newest first.
	List(ctx context.Context, filter Filter) (Page, error)
	// Check checks one domain now and writes down what came of it, as every check does. The domain is named by its cdid or
	// by the domain itself, in any spelling. That there is none, or that it is being checked already, is an error with a text
	// for users.
	Check(ctx context.Context, name string) (Domain, error)
}

// MaxPage is the most domains of one page.
const MaxPage = 1000

// States returns the states of a domain as operators see them: not looked at yet; not verified yet; served; served, and not
// right of late; given up or withdrawn, until it is right; against the rules; on its way out.
func States() []string {
	return []string{"new", "pending", "verified", "failing", "error", "refused", "removing"}
}

// Filter says which domains are listed. What is empty matches every domain.
type Filter struct {
	// State is one of States, User a users.uid.
	State, User string
	// Limit is the most domains that are returned, at most MaxPage.
	Limit int
	// Before is the custom_domains.id that all returned ones are below; 0 for the first page.
	Before int64
}

// Validate tells whether a list can be made by the filter; if not, its error names the field.
func (f Filter) Validate() error {
	switch {
	case f.Limit < 1 || f.Limit > MaxPage:
		return fmt.Errorf("limit: must be 1 to %d", MaxPage)
	case f.Before < 0:
		return errors.New("before: must be the id of a row")
	case f.State != "" && !slices.Contains(States(), f.State):
		return fmt.Errorf("state: must be one of %s", strings.Join(States(), ", "))
	}
	return nil
}

// Domain is a row of custom_domains and what Inner knows of it.
type Domain struct {
	ID      int64  `json:"id"`
	CDID    string `json:"cdid"`
	UserUID string `json:"user_uid"`
	Domain  string `json:"domain"`
	Target  string `json:"target"`
	// Status is the row's, State what Inner makes of it.
	Status string `json:"status"`
	State  string `json:"state"`
	// Certificate says how the certificate is, in words; "" where the domain is not served.
	Certificate string `json:"certificate"`
	// Checks counts those of the schedule, Failures the failed ones in a row.
	Checks   int64 `json:"checks"`
	Failures int64 `json:"failures"`
	// Answer is the kind of the last answer (right, wrong, unknown, refused), Detail says it in words.
	Answer      string     `json:"answer"`
	Detail      string     `json:"detail"`
	CheckedAt   *time.Time `json:"checked_at,omitempty"`
	NextCheckAt *time.Time `json:"next_check_at,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
}

// Page is a part of a list.
type Page struct {
	Admin []Domain `json:"domains"`
	// Next is the Before of the page that follows, 0 for the last one.
	Next int64 `json:"next_before,omitempty"`
}
