// Package verify tells from the DNS whether a custom domain is its user's and points at its target.
package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/domains/internal/lifecycle"
	"app238.com/inner/modules/domains/internal/metrics"
	"app238.com/inner/modules/domains/internal/resolve"
	"app238.com/inner/modules/domains/internal/rules"
)

// Asker asks the DNS; it is a *resolve.Resolver.
type Resolver interface {
	Ask(ctx context.Context, q resolve.Question) (resolve.Reply, error)
}

// NewAsker returns the Asker of a configuration.
func NewResolver(c *config.Config, m *metrics.Metrics) (*resolve.Resolver, error) {
	return resolve.New(c.Domains.DNS, m.Question)
}

// Verifier checks claims. It may be used by many goroutines at once.
type Verifier struct {
	dns           Resolver
	requireTarget bool
	timeout       time.Duration
	targets       *targets
}

// New returns a verifier.
func New(c *config.Config, asker Resolver) *Verifier {
	return &Verifier{dns: asker, requireTarget: c.Domains.RequireTarget, timeout: c.Domains.CheckTimeout, targets: newTargets(asker)}
}

// Check asks the DNS about a claim. Its error is that of ctx alone: nothing was found out then.
func (v *Verifier) Check(ctx context.Context, c rules.Claim) (lifecycle.Outcome, error) {
	if c.Refusal != "" {
		return lifecycle.Outcome{Kind: lifecycle.Refused, Text: c.Refusal}, nil
	}
	limited, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	outcome, err := v.record(limited, c)
	if err == nil && outcome.Kind == lifecycle.Valid && v.requireTarget {
		outcome, err = v.pointing(limited, c)
	}
	switch {
	case err == nil:
		return outcome, nil
	case ctx.Err() != nil:
		return lifecycle.Outcome{}, ctx.Err()
	}
	return lifecycle.Outcome{Kind: lifecycle.Unreachable, Text: unknownText(err)}, nil
}

// unknownText says in words for users why nothing was found out.
func unknownText(err error) string {
	if none, ok := errors.AsType[*resolve.NoAnswerError](err); ok {
		return none.Error()
	}
	return "the check took too long"
}

// record looks for the TXT record.
func (v *Verifier) record(ctx context.Context, c rules.Claim) (lifecycle.Outcome, error) {
	name := rules.TXTName(c.Host)
	reply, err := v.dns.Ask(ctx, resolve.Question{Name: name, Type: dns.TypeTXT, Enough: func(r resolve.Reply) bool {
		return holds(r, c.TXTValue)
	}})
	switch {
	case err != nil:
		return lifecycle.Outcome{}, err
	case holds(reply, c.TXTValue):
		return right(), nil
	case reply.Absence != resolve.Present:
		return wrong("the TXT record %s: %s", name, reply.Absence), nil
	}
	return wrong("the TXT record %s does not hold the value", name), nil
}

// holds tells whether one of the TXT records is the value. Its strings belong together (RFC 7208 section 3.3 says so of
// the best known use), and the forms of some zone editors leave quotes, spaces or a final dot in it.
func holds(reply resolve.Reply, value string) bool {
	for _, rr := range reply.Records {
		if txt, ok := rr.(*dns.TXT); ok && strings.EqualFold(strings.Trim(strings.Join(txt.Txt, ""), "\" \t.\\"), value) {
			return true
		}
	}
	return false
}

// pointing tells whether the domain leads to its target: by CNAME records or, where its zone flattens these or it is a zone's
// apex, by one of the target's addresses.
func (v *Verifier) pointing(ctx context.Context, c rules.Claim) (lifecycle.Outcome, error) {
	var seen []string
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		found, places, err := v.leads(ctx, c, qtype)
		if err != nil || found.Kind != "" {
			return found, err
		}
		seen = append(seen, places...)
	}
	if len(seen) == 0 {
		return wrong("the domain does not point at %s: it has no address", c.Target), nil
	}
	return wrong("the domain points at %s and not at %s", shortened(seen), c.Target), nil
}

// leads is pointing by addresses of one type; without an outcome it returns where the domain leads instead. Both sides may tell some
// of their addresses at a time, others each time, so where these are different it asks once more.
func (v *Verifier) leads(ctx context.Context, c rules.Claim, qtype uint16) (found lifecycle.Outcome, places []string, err error) {
	for _, again := range []bool{false, true} {
		reply, err := v.dns.Ask(ctx, resolve.Question{
			Name: c.Host, Type: qtype,
			Until:  func(name string) bool { return name == c.Target },
			Enough: func(r resolve.Reply) bool { return r.Absence == resolve.Present },
		})
		if err != nil {
			return found, nil, err
		}
		last := reply.Chain[len(reply.Chain)-1]
		if last == c.Target {
			return right(), nil, nil
		}
		if reply.Absence == resolve.NoName || reply.Absence == resolve.Loop {
			return wrong("the domain does not point at %s: %s", c.Target, reply.Absence), nil, nil
		}
		if len(reply.Chain) > 1 {
			places = merged(places, []string{last})
		}
		addresses := addressesOf(reply)
		places = merged(places, addresses)
		if len(addresses) == 0 {
			break
		}
		wanted, err := v.targets.addresses(ctx, c.Target, qtype, again)
		if err != nil {
			return found, nil, err
		}
		if common(places, wanted) {
			return right(), nil, nil
		}
	}
	return found, places, nil
}

func right() lifecycle.Outcome {
	return lifecycle.Outcome{Kind: lifecycle.Valid, Text: "the TXT record holds the value and the domain is right"}
}

func wrong(format string, args ...any) lifecycle.Outcome {
	return lifecycle.Outcome{Kind: lifecycle.Invalid, Text: fmt.Sprintf(format, args...)}
}

// shownPlaces is how many places a text for users lists.
const shownPlaces = 3

func shortened(places []string) string {
	if len(places) > shownPlaces {
		return strings.Join(places[:shownPlaces], ", ") + ", …"
	}
	return strings.Join(places, ", ")
}
