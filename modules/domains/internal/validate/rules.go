// Package validate decides from a row of custom_domains alone whether its domain may be served, and canonicalizes host names.
package validate

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"app238.com/inner/app/config"
	"app238.com/inner/app/identifier"
)

// txtLabel is the first label of the TXT record's name, as the contract of the platform says.
const txtLabel = "_combinator-verify."

// hostLimit is the maximum length of a domain: the TXT record's name must fit as well.
const hostLimit = 253 - len(txtLabel)

// txtValue is the value that Outer generates, with 128 random bits.
var txtValue = regexp.MustCompile(`^combinator-verify=[0-9A-Fa-f]{32}$`)

// clusterZones are the zones of names that lead into a cluster or its machines instead of to the platform's public side
// (RFC 6761, RFC 6762, RFC 9476 and the usual ones of Kubernetes).
var clusterZones = []string{
	"cluster.local", "local", "localhost", "internal", "svc", "localdomain", "home.arpa", "in-addr.arpa", "ip6.arpa",
}

// ReusedValue is the refusal of a value of the TXT record that another user had.
const ReusedValue = "the value of the TXT record was given to another user"

// Row is the columns of a row of custom_domains that are validated.
type Row struct {
	CDID, UserUID, Domain, Target, TXTName, TXTValue string
}

// Result is the result of a validation.
type Result struct {
	// Host and Target are the canonical domain and target; empty if they are no host names.
	Host, Target string
	// Refusal is the reason, in words for users, why the domain is not served; empty if it may be.
	Refusal string
}

// Claim is what is verified in the DNS. Its names are canonical.
type Claim struct {
	Host, Target, TXTValue string
	// Refusal, unless empty, is the reason why the DNS is not queried.
	Refusal string
}

// Validator validates rows by the rules of the platform.
type Validator struct {
	platform string
	targets  []string
}

// New returns a validator.
func New(c *config.Config) *Validator {
	targets := c.Domains.Targets
	if len(targets) == 0 {
		targets = []string{c.Domain}
	}
	return &Validator{platform: c.Domain, targets: targets}
}

// TXTName returns the name of the TXT record that verifies a host.
func TXTName(host string) string { return txtLabel + host }

// Validate validates a row.
func (r *Validator) Validate(row Row) Result {
	host, hostRefusal := r.host(row.Domain)
	target, targetRefusal := r.target(row.Target)
	return Result{host, target, cmp.Or(hostRefusal, targetRefusal, identifiers(row), proof(row, host))}
}

// Revise returns the result of a row that was validated before, maybe under other settings. Its names stay as they are, so that
// rows by the million can be compared: what was no host name is none under any setting.
func (r *Validator) Revise(row Row, last Result) Result {
	if last.Host == "" || last.Target == "" {
		return last
	}
	next := Result{last.Host, last.Target, cmp.Or(r.refuseHost(last.Host), r.refuseTarget(last.Target))}
	switch {
	case next.Refusal != "" || last.Refusal == "":
	case last.Refusal == ReusedValue:
		next.Refusal = last.Refusal
	default:
		next.Refusal = cmp.Or(identifiers(row), proof(row, last.Host))
	}
	return next
}

func (r *Validator) host(domain string) (host, refusal string) {
	host, err := CanonicalHost(domain)
	if err != nil {
		return "", "the domain " + err.Error()
	}
	return host, r.refuseHost(host)
}

func (r *Validator) refuseHost(host string) string {
	switch {
	case len(host) > hostLimit:
		return fmt.Sprintf("the domain is longer than %d characters", hostLimit)
	case IsSubdomain(host, r.platform) || underAny(host, r.targets):
		return "the domain belongs to the platform itself"
	case underAny(host, clusterZones):
		return "the domain is not in the public DNS"
	}
	return ""
}

func (r *Validator) target(name string) (target, refusal string) {
	target, err := CanonicalHost(name)
	switch {
	case errors.Is(err, ErrAddress):
		return "", "the target is an address, not a name of the platform"
	case err != nil:
		return "", "the target " + err.Error()
	}
	return target, r.refuseTarget(target)
}

func (r *Validator) refuseTarget(target string) string {
	switch {
	case hasClusterName(target):
		return "the target is a name inside the cluster"
	case !underAny(target, r.targets):
		return "the target does not belong to the platform, whose names end in " + strings.Join(r.targets, " or ")
	}
	return ""
}

// hasClusterName reports whether a target is a name of the cluster, whatever the name of the cluster's domain.
func hasClusterName(target string) bool {
	return underAny(target, clusterZones) || strings.Contains("."+target+".", ".svc.")
}

func identifiers(row Row) string {
	if identifier.Check("cdid", row.CDID) != nil || identifier.Check("user_uid", row.UserUID) != nil {
		return "the row's identifiers are not valid"
	}
	return ""
}

// proof refuses a row whose TXT record does not belong to this domain.
func proof(row Row, host string) string {
	label, rest, _ := strings.Cut(row.TXTName, ".")
	of, err := CanonicalHost(rest)
	switch {
	case err != nil || of != host || !strings.EqualFold(label+".", txtLabel):
		return "the name of the TXT record is not that of this domain"
	case !txtValue.MatchString(row.TXTValue):
		return "the value of the TXT record is not valid"
	}
	return ""
}

func underAny(name string, zones []string) bool {
	for _, zone := range zones {
		if IsSubdomain(name, zone) {
			return true
		}
	}
	return false
}
