package config

import (
	"net/url"
	"reflect"
	"regexp"
	"strings"
)

// Secret is a setting that must not be shown: printed or encoded it is "***".
type Secret string

// String hides the value from fmt and from logs.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the value from JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal returns the value, for the code that uses it.
func (s Secret) Reveal() string { return string(s) }

// keyedPassword finds the password of a DSN in the form key=value.
var keyedPassword = regexp.MustCompile(`(?i)password\s*=\s*('((?:[^'\\]|\\.)*)'|\S+)`)

// Secrets returns the values of all settings that must not be shown, and the passwords in them.
func (c *Config) Secrets() []string {
	var all []string
	collect(reflect.ValueOf(*c), func(s Secret) {
		value := s.Reveal()
		if value == "" {
			return
		}
		all = append(all, value)
		if u, err := url.Parse(value); err == nil && u.User != nil {
			if password, ok := u.User.Password(); ok {
				all = append(all, password, url.QueryEscape(password), url.PathEscape(password))
			}
		}
		if found := keyedPassword.FindStringSubmatch(value); found != nil {
			all = append(all, strings.Trim(found[1], "'"))
		}
	})
	return all
}

// collect calls found for every Secret within v.
func collect(v reflect.Value, found func(Secret)) {
	if v.IsValid() && v.CanInterface() {
		if s, ok := reflect.TypeAssert[Secret](v); ok {
			found(s)
			return
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			collect(field, found)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			collect(v.MapIndex(key), found)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			collect(v.Index(i), found)
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			collect(v.Elem(), found)
		}
	default: // holds no settings
	}
}
