// Package status reports custom domains to `inner status`.
package status

import (
	"context"
	"fmt"
	"strings"

	"app238.com/inner/app/status"
	"app238.com/inner/modules/domains/admin"
	"app238.com/inner/modules/domains/internal/store"
)

// minInvalid is how many verified domains have to be invalid, and a fifth of all, for the platform to be degraded, as in the
// alert InnerDomainsFail: a few are their users' doing.
const minInvalid = 6

// failing are the states of domains that are listed by name, those that were served first.
var failing = []string{"failing", "refused", "error"}

// New returns the component of custom domains.
func New(s *store.Store) status.Component {
	return status.Component{Name: "domains", Probe: func(ctx context.Context) (status.Report, error) {
		counts, err := s.Count(ctx)
		if err != nil {
			return status.Report{}, err
		}
		report := summarize(counts)
		var listed []status.Detail
		total := int64(0)
		for _, state := range failing {
			total += counts[state]
			if counts[state] == 0 || len(listed) >= status.MaxListed {
				continue
			}
			found, err := s.List(ctx, admin.Filter{State: state, Limit: status.MaxListed})
			if err != nil {
				return status.Report{}, err
			}
			for _, d := range found {
				listed = append(listed, status.Detail{Name: d.Domain, Value: strings.TrimSuffix(state+": "+d.Detail, ": ")})
			}
		}
		report.Details = status.Listed(listed, total, "inner domains list")
		return report, nil
	}}
}

// summarize returns the report without names.
func summarize(counts map[string]int64) status.Report {
	all := int64(0)
	var parts []string
	for _, state := range admin.States() {
		if n := counts[state]; n > 0 {
			all += n
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	report := status.Report{Condition: status.OK, Text: "no custom domains"}
	if all > 0 {
		report.Text = fmt.Sprintf("%d custom domains: %s", all, strings.Join(parts, ", "))
	}
	// A row that was never verified is its user's doing. The alert InnerDomainsFail has the same rule.
	if invalid := counts["failing"]; invalid >= minInvalid && 5*invalid > invalid+counts["verified"] {
		report.Condition = status.Degraded
		report.Text += "; so many fail that it is unlikely to be their users' doing"
	}
	return report
}
