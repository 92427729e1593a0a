// Package rules decides whether a row of custom_domains may be served at all, whatever the DNS says.
package rules

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"app238.com/inner/app/config"
	"app238.com/inner/app/identifier"
	"app238.com/inner/modules/domains/internal/hostname"
)

// txtLabel is the first label of the TXT record's name, from the platform's contract.
const txtLabel = "_combinator-verify."

// hostLimit is the longest domain: the TXT record's name must fit as well.
const hostLimit = 253 - len(txtLabel)

// txtValue is what Outer writes: 128 random bits, so that a value cannot be guessed or fit by chance.
var txtValue = regexp.MustCompile(`^combinator-verify=[0-9A-Fa-f]{32}$`)

// clusterZones end the names that lead into a cluster or its machines rather than to the platform's public side
// (RFC 6761, RFC 6762, RFC 9476 and Kubernetes' usual ones).
var clusterZones = []string{"cluster.local", "local", "localhost", "internal", "svc", "localdomain", "home.arpa", "in-addr.arpa", "ip6.arpa"}

// Row is what a row of custom_domains says.
type Row struct {
	CDID, UserUID, Domain, Target, TXTName, TXTValue string
}

// Verdict is what the rules say of a row.
type Result struct {
	// Host and Target are the domain and its target in their one spelling; empty where they are no host names.
	Host, Target string
	// Refusal says in words for users why the row is never served; empty: it may be.
	Refusal string
}

// Claim is what the DNS is to verify of a row. Names are in the spelling of package hostname.
type Claim struct {
	Host, Target, TXTValue string
	// Refusal, unless empty, says why the DNS is not even asked.
	Refusal string
}

// Rules are the platform's.
type Rules struct {
	platform string
	targets  []string
}

// New returns the rules of a configuration.
func New(c *config.Config) *Rules {
	targets := c.Domains.Targets
	if len(targets) == 0 {
		targets = []string{c.Domain}
	}
	return &Rules{platform: c.Domain, targets: targets}
}

// TXTName returns the name of the TXT record that verifies a host.
func TXTName(host string) string { return txtLabel + host }

// Judge applies the rules to a row.
func (r *Rules) Validate(row Row) Result {
	v := Result{}
	v.Host, v.Refusal = r.host(row.Domain)
	target, refusal := r.target(row.Target)
	v.Target = target
	for _, next := range []string{refusal, identity(row), proof(row, v.Host)} {
		if v.Refusal == "" {
			v.Refusal = next
		}
	}
	return v
}

func (r *Rules) host(domain string) (host, refusal string) {
	host, err := hostname.Canonical(domain)
	if err != nil {
		return "", "the domain " + err.Error()
	}
	switch {
	case len(host) > hostLimit:
		return host, fmt.Sprintf("the domain is longer than %d characters", hostLimit)
	case underAny(host, append([]string{r.platform}, r.targets...)):
		return host, "the domain belongs to the platform itself"
	case underAny(host, clusterZones):
		return host, "the domain is not one of the public DNS"
	}
	return host, ""
}

func (r *Rules) target(name string) (target, refusal string) {
	target, err := hostname.Canonical(name)
	switch {
	case errors.Is(err, hostname.ErrAddress):
		return "", "the target is an address, not a name of the platform"
	case err != nil:
		return "", "the target " + err.Error()
	case hasClusterName(target):
		return target, "the target is a name inside the cluster"
	case !underAny(target, r.targets):
		return target, "the target does not belong to the platform, whose names end in " + strings.Join(r.targets, " or ")
	}
	return target, ""
}

// hasClusterName also finds svc before a cluster domain of another name.
func hasClusterName(target string) bool {
	return underAny(target, clusterZones) || strings.Contains("."+target+".", ".svc.")
}

func identity(row Row) string {
	if identifier.Check("cdid", row.CDID) != nil || identifier.Check("user_uid", row.UserUID) != nil {
		return "the row's identifiers are not valid"
	}
	return ""
}

// proof refuses a row that would have something else than this domain's own record prove it.
func proof(row Row, host string) string {
	label, rest, _ := strings.Cut(row.TXTName, ".")
	of, err := hostname.Canonical(rest)
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
		if hostname.Under(name, zone) {
			return true
		}
	}
	return false
}
