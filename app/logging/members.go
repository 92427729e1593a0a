package logging

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
)

// member matches the name of a JSON member, also in JSON within a JSON string.
var member = regexp.MustCompile(`(\\*)"([A-Za-z][A-Za-z0-9_.-]{0,63})(\\*)"\s*:\s*`)

// redactMembers masks the values of JSON members with names of secrets. If the end of a value is unknown, all that follows is
// masked.
func redactMembers(text string) string {
	if !strings.Contains(text, `"`) || !strings.Contains(text, ":") {
		return text
	}
	var kept strings.Builder
	rest := text
	for {
		found := member.FindStringSubmatchIndex(rest)
		if found == nil {
			break
		}
		kept.WriteString(rest[:found[1]])
		name, escaped := rest[found[4]:found[5]], found[3] > found[2]
		rest = rest[found[1]:]
		if !secretName(name) {
			continue
		}
		kept.WriteString(`"` + mask + `"`)
		length, ok := valueLength(rest)
		if escaped || !ok {
			return kept.String()
		}
		rest = rest[length:]
	}
	if kept.Len() == 0 {
		return text
	}
	kept.WriteString(rest)
	return kept.String()
}

// valueLength returns the length of the JSON value at the beginning of text.
func valueLength(text string) (int, bool) {
	d := json.NewDecoder(strings.NewReader(text))
	var value json.RawMessage
	if d.Decode(&value) != nil {
		return 0, false
	}
	return int(d.InputOffset()), true
}

// secretWords are the last words of names of secret fields and JSON members, such as passwords and keys. secretNames are whole
// names: of a task's payload, a worker's environment, or the content of a Kubernetes object.
var (
	secretWords = map[string]bool{
		"authorization": true, "cookie": true, "credential": true, "credentials": true, "dsn": true, "passphrase": true,
		"passwd": true, "password": true, "pwd": true, "secret": true, "token": true,
	}
	secretNames = map[string]bool{
		"apikey": true, "binarydata": true, "body": true, "data": true, "env": true, "envjson": true, "environ": true,
		"environment": true, "info": true, "payload": true, "privatekey": true, "secretkey": true, "secrets": true,
		"secretsjson": true, "stringdata": true, "taskinfo": true, "value": true, "values": true,
	}
)

// secretName tells whether a field or member of this name is masked.
func secretName(name string) bool {
	if len(name) < 3 || len(name) > 64 {
		return false
	}
	// A prefix such as client. is not part of the name.
	name = name[strings.LastIndexByte(name, '.')+1:]
	// No allocation: this runs for every field of every line.
	var memory [64]byte
	whole := memory[:0]
	for i := range len(name) {
		if c := name[i]; c != '_' && c != '-' {
			whole = append(whole, lower(c))
		}
	}
	word := whole[len(whole)-lastWord(name):]
	return secretNames[string(whole)] || secretWords[string(word)]
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c - 'A' + 'a'
	}
	return c
}

// lastWord returns the length of the last word of a name in snake, kebab or camel case.
func lastWord(name string) int {
	start := strings.LastIndexAny(name, "_-") + 1
	for i := len(name) - 1; i > start; i-- {
		if unicode.IsUpper(rune(name[i])) && unicode.IsLower(rune(name[i-1])) {
			start = i
			break
		}
	}
	return len(name) - start
}
