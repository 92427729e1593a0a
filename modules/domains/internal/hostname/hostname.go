// Package hostname brings host names into the one spelling by which they are compared and written.
package hostname

import (
	"errors"
	"net/netip"
	"regexp"
	"strings"

	"golang.org/x/net/idna"
)

// The reasons why a text is no host name.
var (
	ErrAddress = errors.New("is an address, not a name")
	ErrInvalid = errors.New("is not a host name")
	ErrSingle  = errors.New("has one label only")
)

// maxLength is the longest name in characters, without its final dot (RFC 1035).
const maxLength = 253

var (
	label     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	allDigits = regexp.MustCompile(`^(0x[0-9a-f]*|[0-9]+)$`)
)

// profile maps as browsers do (UTS 46): to lower case, one form of each character, and dots of other scripts to dots.
var profile = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(true), idna.BidiRule(),
	idna.CheckHyphens(true), idna.ValidateLabels(true))

// Canonical returns the name in lower case and in ASCII (Punycode), without a final dot. Names that mean the same host
// give the same text. What it returns consists of letters, digits, hyphens and dots alone.
func Canonical(name string) (string, error) {
	name = strings.TrimSuffix(strings.TrimSpace(name), ".")
	// A name of several dots or an address is told apart before the mapping, which knows no colon.
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return "", ErrAddress
	}
	ascii, err := profile.ToASCII(name)
	if err != nil || ascii == "" || len(ascii) > maxLength {
		return "", ErrInvalid
	}
	// What cannot be spelled, such as bytes that are no UTF-8, is mapped to what the profile itself refuses.
	if again, err := profile.ToASCII(ascii); err != nil || again != ascii {
		return "", ErrInvalid
	}
	labels := strings.Split(ascii, ".")
	for _, l := range labels {
		if !label.MatchString(l) {
			return "", ErrInvalid
		}
	}
	// Many programs read such a name as an IPv4 address, in one of its old forms.
	if allDigits.MatchString(labels[len(labels)-1]) {
		return "", ErrAddress
	}
	if len(labels) == 1 {
		return "", ErrSingle
	}
	return ascii, nil
}

// Under tells whether name is zone or lies below it; both in the spelling of Canonical.
func Under(name, zone string) bool { return name == zone || strings.HasSuffix(name, "."+zone) }
