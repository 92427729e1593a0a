// Package admin declares what operators may ask of custom domains. It needs the database and, for checks, the DNS, but no
// cluster.
package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Admin lists and checks custom domains.
type Admin interface {
	// List returns the matching domains, the newest first.
	List(ctx context.Context, filter Filter) (Page, error)
	// Check checks one domain now, records the result, and returns the domain. The name is its cdid or the domain in any spelling.
	// It returns an error for an unknown domain and for one that is being checked already.
	Check(ctx context.Context, name string) (Domain, error)
}

// MaxPage is the maximum number of domains of a page.
const MaxPage = 1000

// States returns the states of a domain: not scanned yet; not verified yet; served; served, but the last checks failed;
// withdrawn or never verified; refused by the validation; being removed.
func States() []string {
	return []string{"new", "pending", "verified", "failing", "error", "refused", "removing"}
}

// Filter selects the domains of a list. Empty fields match every domain.
type Filter struct {
	// State is one of States, User is a users.uid.
	State, User string
	// Limit is the maximum number of domains, at most MaxPage.
	Limit int
	// Before limits the list to lower custom_domains.id; 0 for the first page.
	Before int64
}

// Validate checks the filter. Its error names the field.
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

// Domain is a row of custom_domains and its state.
type Domain struct {
	ID      int64  `json:"id"`
	CDID    string `json:"cdid"`
	UserUID string `json:"user_uid"`
	Domain  string `json:"domain"`
	Target  string `json:"target"`
	// Status is the status of the row, State one of States.
	Status string `json:"status"`
	State  string `json:"state"`
	// Certificate is the readiness of the certificate in words; "" if the domain is not served.
	Certificate string `json:"certificate"`
	// Checks counts the scheduled checks, Failures the failed ones in a row.
	Checks   int64 `json:"checks"`
	Failures int64 `json:"failures"`
	// Answer is the result of the last check (right, wrong, unknown, refused), Detail the reason in words.
	Answer      string     `json:"answer"`
	Detail      string     `json:"detail"`
	CheckedAt   *time.Time `json:"checked_at,omitempty"`
	NextCheckAt *time.Time `json:"next_check_at,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
}

// Page is one page of a list.
type Page struct {
	Domains []Domain `json:"domains"`
	// Next is the Before of the next page, 0 for the last one.
	Next int64 `json:"next_before,omitempty"`
}
