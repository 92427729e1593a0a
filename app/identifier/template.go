package identifier

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// The placeholders of a Template.
const (
	UserUID    = "{user_uid}"
	ResourceID = "{resource_id}"
)

// Template derives names of users' and resources' objects in an engine from a pattern such as
// "user_{user_uid}_{resource_id}". Different identifiers give different names.
type Template struct {
	pattern string
	limit   int
}

var (
	patternHead  = regexp.MustCompile(`^[a-z][a-z0-9]*[^a-z0-9{]`)
	placeholders = regexp.MustCompile(regexp.QuoteMeta(UserUID) + "|" + regexp.QuoteMeta(ResourceID))
	reservedHead = regexp.MustCompile(`^(pg|crdb|information)_`)
)

// ParseTemplate parses a pattern of lower-case letters, digits, placeholders, and separators, which surround each placeholder.
// It begins with a letter, so that no identifier alone is a name. The limit is the longest name in bytes.
func ParseTemplate(pattern, separators string, limit int) (Template, error) {
	literal := placeholders.ReplaceAllString(pattern, "\x00")
	between := func(b byte) bool { return strings.IndexByte(separators, b) >= 0 }
	for i := range len(literal) {
		switch b := literal[i]; {
		case b == 0:
			if i > 0 && !between(literal[i-1]) || i+1 < len(literal) && !between(literal[i+1]) {
				return Template{}, fmt.Errorf("each of %s and %s needs a separator (%s) on both sides", UserUID, ResourceID, separators)
			}
		case !between(b) && (b < 'a' || b > 'z') && (b < '0' || b > '9'):
			return Template{}, fmt.Errorf("may hold a-z, 0-9, %s, %s and %s", separators, UserUID, ResourceID)
		}
	}
	switch {
	case !patternHead.MatchString(pattern), reservedHead.MatchString(pattern):
		return Template{}, errors.New("must begin with letters and a separator that no system schema begins with")
	case strings.Contains(pattern, "__"):
		return Template{}, errors.New("must not hold __, which marks names with a hash")
	case len(literal) > limit/2:
		return Template{}, fmt.Errorf("longer than %d bytes", limit/2)
	}
	return Template{pattern: pattern, limit: limit}, nil
}

// Uses tells whether the pattern contains a placeholder.
func (t Template) Uses(placeholder string) bool { return strings.Contains(t.pattern, placeholder) }

// Head returns the common prefix of all names of this template.
func (t Template) Head() string {
	head, _, _ := strings.Cut(t.pattern, "{")
	return head
}

// Name fills in the pattern. If the identifiers are not [a-z0-9]+, or the result is too long, the name is a readable
// beginning, a doubled '_', which plain names never contain, and a hash of the identifiers.
func (t Template) Name(userUID, resourceID string) string {
	name := strings.NewReplacer(UserUID, userUID, ResourceID, resourceID).Replace(t.pattern)
	var used []string
	isPlain := len(name) <= t.limit
	for placeholder, id := range map[string]string{UserUID: userUID, ResourceID: resourceID} {
		isPlain = isPlain && (plain.MatchString(id) || !t.Uses(placeholder))
	}
	if isPlain {
		return name
	}
	for _, placeholder := range placeholders.FindAllString(t.pattern, -1) {
		used = append(used, map[string]string{UserUID: userUID, ResourceID: resourceID}[placeholder])
	}
	const separator = "_"
	head := t.Head()
	readable := strings.Trim(other.ReplaceAllString(strings.ToLower(strings.TrimPrefix(name, head)), separator), separator)
	if room := t.limit - len(head) - hashLength - 2*len(separator); len(readable) > room {
		readable = strings.TrimRight(readable[:room], separator)
	}
	return head + readable + separator + separator + digest(t.pattern, used)
}
