package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// decodeText turns the text of a variable into a duration or, at commas, into a list.
var decodeText = mapstructure.ComposeDecodeHookFunc(
	mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(","))

// decode makes a Config of what was read. All unknown keys and all values of a wrong kind are told at once.
func decode(v *viper.Viper) (*Config, error) {
	var c Config
	var found mapstructure.Metadata
	err := v.Unmarshal(&c, viper.DecodeHook(decodeText),
		func(d *mapstructure.DecoderConfig) { d.Metadata = &found })
	faults := unknown(v.AllKeys())
	if err == nil && len(faults) == 0 {
		// An unknown group that holds nothing, or one inside a map.
		for _, key := range found.Unused {
			faults = append(faults, noSuchSetting(strings.NewReplacer("[", ".", "]", "").Replace(key)))
		}
	}
	if err != nil {
		faults = append(faults, decodeFaults(err)...)
	}
	return &c, errors.Join(faults...)
}

// unknown returns a fault for each of the keys that is no setting, nor an entry of one that is a map.
func unknown(keys []string) []error {
	var faults []error
	slices.Sort(keys)
	for _, key := range keys {
		if !slices.ContainsFunc(new(Config).settings(), func(s setting) bool {
			known := strings.ToLower(s.key)
			// What stands below a setting that is no map has a value of a wrong kind, which is told elsewhere.
			return key == known || strings.HasPrefix(key, known+".")
		}) {
			faults = append(faults, noSuchSetting(key))
		}
	}
	return faults
}

func noSuchSetting(key string) error { return fmt.Errorf("%s: there is no such setting", key) }

// decodeFaults makes a sentence of each fault that the decoder found. Values of secrets are not repeated.
func decodeFaults(err error) []error {
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		var faults []error
		for _, e := range joined.Unwrap() {
			faults = append(faults, decodeFaults(e)...)
		}
		return faults
	}
	fault, ok := errors.AsType[*mapstructure.DecodeError](err)
	if !ok {
		return []error{fmt.Errorf("configuration: %w", err)}
	}
	for _, s := range new(Config).settings() {
		if s.secret() && strings.EqualFold(s.key, fault.Name()) {
			return []error{fmt.Errorf("%s: must be a text", s.key)}
		}
	}
	return []error{fmt.Errorf("%s: %w", fault.Name(), fault.Unwrap())}
}
