// Package identifier checks the identifiers that clients send and derives collision-free names from them.
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

// Check returns an error with the field unless id is an identifier of the contract: 1 to 64 letters, digits, '_' and '-',
// beginning and ending with a letter or digit. The error does not contain the value.
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

// Style is the separator and the length limit of names.
type Style struct {
	// Separator stands between the parts: "-" for Kubernetes and DNS, "_" for SQL.
	Separator string
	// Limit is the longest name in bytes.
	Limit int
}

// hashLength is the length of the hash in names that are not plain, in hexadecimal digits of 4 bits.
const hashLength = 20

// Name joins prefix and parts. If every part is [a-z0-9]+ and the result fits, the name is prefix-part-part (without an empty
// prefix); else it is a readable beginning, a doubled separator, which plain names never contain, and a hash of the input.
// Different input gives different names.
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

// digest hashes the parts with their lengths, so that different parts with the same concatenation differ.
func digest(prefix string, parts []string) string {
	h := sha256.New()
	for _, p := range append([]string{prefix}, parts...) {
		h.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
	}
	return hex.EncodeToString(h.Sum(nil))[:hashLength]
}
