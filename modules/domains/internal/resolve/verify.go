package resolve

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/domains/internal/lifecycle"
	"app238.com/inner/modules/domains/internal/validate"
)

// Querier queries the DNS.
type Querier interface {
	// Query returns an answer of the DNS, positive or negative, or a lookup failure.
	Query(ctx context.Context, q Question) (Reply, error)
}

// Verifier verifies that a custom domain belongs to its user and points at its target. It is safe for concurrent use.
type Verifier struct {
	dns           Querier
	requireTarget bool
	timeout       time.Duration
	targets       *targets
}

// NewVerifier returns a verifier.
func NewVerifier(c *config.Config, querier Querier) *Verifier {
	return &Verifier{
		dns: querier, requireTarget: c.Domains.RequireTarget, timeout: c.Domains.CheckTimeout, targets: newTargets(querier),
	}
}

// Check verifies a claim. Its error is the error of ctx; then there is no outcome.
func (v *Verifier) Check(ctx context.Context, c validate.Claim) (lifecycle.Outcome, error) {
	if c.Refusal != "" {
		return lifecycle.Outcome{Kind: lifecycle.Refused, Text: c.Refusal}, nil
	}
	limited, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	outcome, err := v.checkTXT(limited, c)
	if err == nil && outcome.Kind == lifecycle.Valid && v.requireTarget {
		outcome, err = v.checkTarget(limited, c)
	}
	switch {
	case err == nil:
		return outcome, nil
	case ctx.Err() != nil:
		return lifecycle.Outcome{}, ctx.Err()
	}
	return lifecycle.Outcome{Kind: lifecycle.Unreachable, Text: failureText(err)}, nil
}

// failureText describes a lookup failure for users.
func failureText(err error) string {
	if none, ok := errors.AsType[*LookupError](err); ok {
		return none.Error()
	}
	return "the check took too long"
}

// checkTXT checks the TXT record.
func (v *Verifier) checkTXT(ctx context.Context, c validate.Claim) (lifecycle.Outcome, error) {
	name := validate.TXTName(c.Host)
	reply, err := v.dns.Query(ctx, Question{Name: name, Type: dns.TypeTXT, Sufficient: func(r Reply) bool {
		return hasValue(r, c.TXTValue)
	}})
	switch {
	case err != nil:
		return lifecycle.Outcome{}, err
	case hasValue(reply, c.TXTValue):
		return valid(), nil
	case reply.Absence != Present:
		return invalid("the TXT record %s: %s", name, reply.Absence), nil
	}
	return invalid("the TXT record %s does not hold the value", name), nil
}

// hasValue reports whether one of the TXT records is the value. The strings of a record are joined (as in RFC 7208 section
// 3.3), and quotes, spaces and a final dot, which some zone editors add, are ignored.
func hasValue(reply Reply, value string) bool {
	for _, rr := range reply.Records {
		if txt, ok := rr.(*dns.TXT); ok && strings.EqualFold(strings.Trim(strings.Join(txt.Txt, ""), "\" \t.\\"), value) {
			return true
		}
	}
	return false
}

// checkTarget checks that the domain points at its target: by CNAME records, or by one of the target's addresses if its zone
// flattens CNAME records or the domain is a zone's apex.
func (v *Verifier) checkTarget(ctx context.Context, c validate.Claim) (lifecycle.Outcome, error) {
	var all []string
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		found, destinations, err := v.checkAddresses(ctx, c, qtype)
		if err != nil || found.Kind != "" {
			return found, err
		}
		all = append(all, destinations...)
	}
	if len(all) == 0 {
		return invalid("the domain does not point at %s: it has no address", c.Target), nil
	}
	return invalid("the domain points at %s and not at %s", shortened(all), c.Target), nil
}

// checkAddresses is checkTarget for addresses of one type. Without an outcome it returns where the domain points instead. Both
// sides may answer with a changing part of their addresses, so it queries a second time if these differ.
func (v *Verifier) checkAddresses(
	ctx context.Context, c validate.Claim, qtype uint16,
) (found lifecycle.Outcome, destinations []string, err error) {
	for _, refresh := range []bool{false, true} {
		reply, err := v.dns.Query(ctx, Question{
			Name: c.Host, Type: qtype,
			Until:      func(name string) bool { return name == c.Target },
			Sufficient: func(r Reply) bool { return r.Absence == Present },
		})
		if err != nil {
			return found, nil, err
		}
		last := reply.Chain[len(reply.Chain)-1]
		if last == c.Target {
			return valid(), nil, nil
		}
		if reply.Absence == NXDomain || reply.Absence == Loop {
			return invalid("the domain does not point at %s: %s", c.Target, reply.Absence), nil, nil
		}
		if len(reply.Chain) > 1 {
			destinations = merged(destinations, []string{last})
		}
		addresses := addressesOf(reply)
		destinations = merged(destinations, addresses)
		if len(addresses) == 0 {
			break
		}
		target, err := v.targets.addresses(ctx, c.Target, qtype, refresh)
		if err != nil {
			return found, nil, err
		}
		if common(destinations, target) {
			return valid(), nil, nil
		}
	}
	return found, destinations, nil
}

func valid() lifecycle.Outcome {
	return lifecycle.Outcome{Kind: lifecycle.Valid, Text: "the domain is verified"}
}

func invalid(format string, args ...any) lifecycle.Outcome {
	return lifecycle.Outcome{Kind: lifecycle.Invalid, Text: fmt.Sprintf(format, args...)}
}

// maxDestinations is how many destinations a text for users lists.
const maxDestinations = 3

func shortened(destinations []string) string {
	if len(destinations) > maxDestinations {
		return strings.Join(destinations[:maxDestinations], ", ") + ", …"
	}
	return strings.Join(destinations, ", ")
}
