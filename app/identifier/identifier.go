// Package identifier checks the identifiers that other programs send and derives names from them that can never meet.
package identifier

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// MaxLength is the longest identifier in characters, from the platform's contract.
const MaxLength = 64

var (
	valid = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?$`)
	plain = regexp.MustCompile(`^[a-z0-9]+$`)
	other = regexp.MustCompile(`[^a-z0-9]+`)
)

// Check returns an error that names the field unless id is an identifier of the contract: 1 to 64 characters of
// letters, digits, '_' and '-', that begins and ends with a letter or digit. The error does not repeat the value.
func Check(field, id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%s: required", field)
	case len(id) > MaxLength:
		return fmt.Errorf("%s: longer than %d characters", field, MaxLength)
	case !valid.MatchString(id):
		return fmt.Errorf("%s: must consist of letters, digits, '-' and '_', and begin and end with a letter or digit", field)
	}
	return nil
}

// Style says how a name is written: what parts it from its neighbours and how long it may be.
type Style struct {
	// Separator stands between the parts: "-" for Kubernetes and DNS, "_" for SQL.
	Separator string
	// Limit is the longest name in bytes.
	Limit int
}

// hashLength is the number of hexadecimal digits, 4 bits each, that tell apart names which are not plain.
const hashLength = 20

// Name joins prefix and parts. Where every part is [a-z0-9]+ and the result fits, the name is exactly
// prefix-part-part (prefix and its separator left out where empty); else it is a readable beginning, a doubled
// separator, which no plain name holds, and a hash of all that went in. Different input gives different names.
func (s Style) Name(prefix string, parts ...string) string {
	all := parts
	if prefix != "" {
		all = append([]string{prefix}, parts...)
	}
	name := strings.Join(all, s.Separator)
	isPlain := len(name) <= s.Limit
	for _, p := range parts {
		isPlain = isPlain && plain.MatchString(p)
	}
	if isPlain {
		return name
	}
	readable := other.ReplaceAllString(strings.ToLower(name), s.Separator)
	readable = strings.Trim(readable, s.Separator)
	if room := s.Limit - hashLength - 2*len(s.Separator); len(readable) > room {
		readable = strings.TrimRight(readable[:room], s.Separator)
	}
	return readable + s.Separator + s.Separator + digest(prefix, parts)
}

// digest hashes the input with the length of each part, so that moving a border between parts changes it.
func digest(prefix string, parts []string) string {
	h := sha256.New()
	for _, p := range append([]string{prefix}, parts...) {
		h.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
	}
	return hex.EncodeToString(h.Sum(nil))[:hashLength]
}
