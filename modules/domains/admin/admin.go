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
	// Show returns everything about one domain. The name is its cdid or the domain in any spelling. It reads what the cluster has,
	// if it answers.
	Show(ctx context.Context, name string) (Details, error)
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
	// Failing selects the states of domains that are not as their users want them: failing, error and refused.
	Failing bool
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

// Details is everything about a domain.
type Details struct {
	// Problems are what is wrong, the cause first.
	Problems []string `json:"problems"`
	Domain
	// TXTName and TXTValue are the record that proves that the domain is the user's.
	TXTName  string `json:"txt_name"`
	TXTValue string `json:"txt_value"`
	// FailingSince is when the first of the failed checks in a row was, nil if the last one succeeded.
	FailingSince *time.Time `json:"failing_since,omitempty"`
	// Unanswered counts the checks in a row that got no answer.
	Unanswered int64 `json:"unanswered"`
	// Served reports whether the domain has objects in the cluster.
	Served  bool     `json:"served"`
	Objects []Object `json:"objects"`
	// ClusterError is why the cluster was not read; "" if it was.
	ClusterError string `json:"cluster_error,omitempty"`
}

// Object is an object that serves a domain.
type Object struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// State is what is wrong with it, or "ok"; "missing" if it does not exist.
	State string `json:"state"`
}

// Page is one page of a list.
type Page struct {
	Domains []Domain `json:"domains"`
	// Next is the Before of the next page, 0 for the last one.
	Next int64 `json:"next_before,omitempty"`
}
