package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"

	"app238.com/inner/app/nearest"
)

// decodeText turns the text of a variable into a duration or, at commas, into a list.
var decodeText = mapstructure.ComposeDecodeHookFunc(
	mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(","))

// fault is what is wrong with a key.
type fault struct {
	key string
	err error
}

// faults are what is wrong with a configuration.
type faults []fault

// about reports whether a fault of the key, or of a group that it is in, is known.
func (f faults) about(key string) bool {
	return slices.ContainsFunc(f, func(known fault) bool {
		return strings.EqualFold(known.key, key) || strings.HasPrefix(strings.ToLower(key), strings.ToLower(known.key)+".")
	})
}

func (f faults) join() error {
	errs := make([]error, len(f))
	for i := range f {
		errs[i] = f[i].err
	}
	return errors.Join(errs...)
}

// decode returns the Config of the values read, and all unknown keys and values of a wrong type, which have their defaults in it.
func decode(v *viper.Viper) (*Config, faults, error) {
	var c Config
	var used mapstructure.Metadata
	defaults, err := withDefaults()
	if err != nil {
		return nil, nil, err
	}
	known := knownKeys(defaults)
	found := unknownKeys(v.AllKeys(), known)
	err = unmarshal(v, &c, &used)
	if err == nil {
		if len(found) == 0 {
			// An unknown group that is empty or within a map.
			for _, key := range used.Unused {
				found = append(found, unknownSetting(strings.NewReplacer("[", ".", "]", "").Replace(key), known))
			}
		}
		return &c, found, nil
	}
	undecoded := decodeFaults(err)
	for _, f := range undecoded {
		v.Set(f.key, defaults.Get(f.key))
	}
	c = Config{}
	if unmarshal(v, &c, &used) != nil {
		return nil, nil, append(found, undecoded...).join()
	}
	return &c, append(found, undecoded...), nil
}

func unmarshal(v *viper.Viper, c *Config, used *mapstructure.Metadata) error {
	return v.Unmarshal(c, viper.DecodeHook(decodeText), func(d *mapstructure.DecoderConfig) { d.Metadata = used })
}

// knownKeys returns the keys of all settings. The entries of a map setting, such as tasks.lanes, are those of the defaults.
func knownKeys(defaults *viper.Viper) (keys []string) {
	for _, s := range new(Config).settings() {
		if s.value.Kind() != reflect.Map {
			keys = append(keys, s.key)
			continue
		}
		for _, key := range defaults.AllKeys() {
			if strings.HasPrefix(key, strings.ToLower(s.key)+".") {
				keys = append(keys, s.key+key[len(s.key):])
			}
		}
	}
	return keys
}

// unknownKeys returns a fault for each key that is no setting.
func unknownKeys(keys, known []string) (found faults) {
	slices.Sort(keys)
	for _, key := range keys {
		if !slices.ContainsFunc(known, func(known string) bool {
			known = strings.ToLower(known)
			// A key below a setting is reported by the decoder as a value of a wrong type.
			return key == known || strings.HasPrefix(key, known+".")
		}) {
			found = append(found, unknownSetting(key, known))
		}
	}
	return found
}

// unknownSetting suggests the nearest setting, or the only one with this name in another group.
func unknownSetting(key string, known []string) fault {
	last := func(key string) string { return strings.ToLower(key[strings.LastIndexByte(key, '.')+1:]) }
	var elsewhere []string
	for _, setting := range known {
		if last(setting) == last(key) {
			elsewhere = append(elsewhere, setting)
		}
	}
	hint := nearest.Hint(key, known)
	if hint == "" && len(elsewhere) == 1 {
		hint = nearest.Hint(elsewhere[0], elsewhere)
	}
	return fault{key, fmt.Errorf("%s: unknown setting%s", key, hint)}
}

// decodeFaults returns one fault for each that the decoder found. They do not repeat the values of secrets.
func decodeFaults(err error) (found faults) {
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		for _, e := range joined.Unwrap() {
			found = append(found, decodeFaults(e)...)
		}
		return found
	}
	decodeError, ok := errors.AsType[*mapstructure.DecodeError](err)
	if !ok {
		return faults{{"", fmt.Errorf("configuration: %w", err)}}
	}
	key, _, _ := strings.Cut(decodeError.Name(), "[") // an entry of a list or a map
	for _, s := range new(Config).settings() {
		if s.secret() && strings.EqualFold(s.key, decodeError.Name()) {
			return faults{{s.key, fmt.Errorf("%s: must be a text", s.key)}}
		}
	}
	return faults{{key, fmt.Errorf("%s: %w", decodeError.Name(), decodeError.Unwrap())}}
}
