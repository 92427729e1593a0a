package config

import (
	"reflect"
	"strings"
)

// setting is one value of a Config, by its key such as "tasks.pollInterval".
type setting struct {
	key   string
	value reflect.Value
}

// settings returns every setting of c in the order of the structs. Maps and lists are one setting each.
func (c *Config) settings() []setting {
	return settingsOf("", reflect.ValueOf(c).Elem())
}

func settingsOf(prefix string, group reflect.Value) []setting {
	var all []setting
	for i := range group.NumField() {
		name, options, _ := strings.Cut(group.Type().Field(i).Tag.Get("mapstructure"), ",")
		field, key := group.Field(i), prefix+name
		switch {
		case field.Kind() != reflect.Struct:
			all = append(all, setting{key, field})
		case options == "squash":
			all = append(all, settingsOf(prefix, field)...)
		default:
			all = append(all, settingsOf(key+".", field)...)
		}
	}
	return all
}

// secret tells whether the setting must not be shown.
func (s setting) secret() bool { return s.value.Type() == reflect.TypeFor[Secret]() }

// variable returns the name of the environment variable that overrides the setting.
func (s setting) variable() string { return variableOf(s.key) }

func variableOf(key string) string {
	return variablePrefix + "_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}
