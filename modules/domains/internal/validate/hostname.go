package validate

import (
	"errors"
	"net/netip"
	"regexp"
	"strings"

	"golang.org/x/net/idna"
)

// The errors of CanonicalHost.
var (
	ErrAddress     = errors.New("is an address, not a name")
	ErrInvalid     = errors.New("is not a host name")
	ErrSingleLabel = errors.New("has one label only")
)

// maxLength is the maximum length of a name in characters, without its final dot (RFC 1035).
const maxLength = 253

var (
	label     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	allDigits = regexp.MustCompile(`^(0x[0-9a-f]*|[0-9]+)$`)
)

// profile maps names as browsers do (UTS 46): to lower case, with normalized characters and dots.
var profile = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(true), idna.BidiRule(),
	idna.CheckHyphens(true), idna.ValidateLabels(true))

// CanonicalHost returns the name in lower case and in ASCII (Punycode), without a final dot. All spellings of a host name have
// the same result. It consists of letters, digits, hyphens and dots.
func CanonicalHost(name string) (string, error) {
	name = strings.TrimSuffix(strings.TrimSpace(name), ".")
	// IPv6 addresses are recognized before the mapping, which rejects colons.
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return "", ErrAddress
	}
	ascii, err := profile.ToASCII(name)
	if err != nil || ascii == "" || len(ascii) > maxLength {
		return "", ErrInvalid
	}
	// Invalid input, such as bytes that are no UTF-8, is mapped to output that the profile rejects.
	if second, err := profile.ToASCII(ascii); err != nil || second != ascii {
		return "", ErrInvalid
	}
	labels := strings.Split(ascii, ".")
	for _, l := range labels {
		if !label.MatchString(l) {
			return "", ErrInvalid
		}
	}
	// Many programs parse such a name as an IPv4 address in an old notation.
	if allDigits.MatchString(labels[len(labels)-1]) {
		return "", ErrAddress
	}
	if len(labels) == 1 {
		return "", ErrSingleLabel
	}
	return ascii, nil
}

// IsSubdomain reports whether name is zone or below it. Both must be canonical.
func IsSubdomain(name, zone string) bool { return name == zone || strings.HasSuffix(name, "."+zone) }
