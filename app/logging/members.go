package logging

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
)

// member finds the name of a JSON member, also in JSON that is a string within JSON.
var member = regexp.MustCompile(`(\\*)"([A-Za-z][A-Za-z0-9_.-]{0,63})(\\*)"\s*:\s*`)

// redactMembers hides the values of JSON members whose names say that they are secret. Where the end of such a value
// cannot be told, all that follows is hidden.
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

// valueLength is the length of the JSON value that text begins with.
func valueLength(text string) (int, bool) {
	d := json.NewDecoder(strings.NewReader(text))
	var value json.RawMessage
	if d.Decode(&value) != nil {
		return 0, false
	}
	return int(d.InputOffset()), true
}

// secretWords are what the names of fields and JSON members end with that hold secrets: passwords and keys, and, as whole
// names, what holds a task's payload, a worker's environment, or the content of a Kubernetes object.
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

// secretName tells whether a field or member of this name is hidden.
func secretName(name string) bool {
	if len(name) < 3 || len(name) > 64 {
		return false
	}
	// A prefix such as client. says where a field comes from.
	name = name[strings.LastIndexByte(name, '.')+1:]
	// Every field of every line comes here, so nothing is allocated.
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

// lastWord is the length of the last word of a name in any of the usual ways to write one.
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
