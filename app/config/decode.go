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

// decode returns the Config of the values read. All unknown keys and all values of a wrong type are reported at once.
func decode(v *viper.Viper) (*Config, error) {
	var c Config
	var found mapstructure.Metadata
	err := v.Unmarshal(&c, viper.DecodeHook(decodeText),
		func(d *mapstructure.DecoderConfig) { d.Metadata = &found })
	errs := unknownKeys(v.AllKeys())
	if err == nil && len(errs) == 0 {
		// An unknown group that is empty or within a map.
		for _, key := range found.Unused {
			errs = append(errs, unknownSetting(strings.NewReplacer("[", ".", "]", "").Replace(key)))
		}
	}
	if err != nil {
		errs = append(errs, decodeErrors(err)...)
	}
	return &c, errors.Join(errs...)
}

// unknownKeys returns an error for each key that is neither a setting nor an entry of a map setting.
func unknownKeys(keys []string) []error {
	var errs []error
	slices.Sort(keys)
	for _, key := range keys {
		if !slices.ContainsFunc(new(Config).settings(), func(s setting) bool {
			known := strings.ToLower(s.key)
			// A key below a setting that is no map is reported by the decoder as a value of a wrong type.
			return key == known || strings.HasPrefix(key, known+".")
		}) {
			errs = append(errs, unknownSetting(key))
		}
	}
	return errs
}

func unknownSetting(key string) error { return fmt.Errorf("%s: unknown setting", key) }

// decodeErrors returns one error for each that the decoder found. They do not repeat the values of secrets.
func decodeErrors(err error) []error {
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, decodeErrors(e)...)
		}
		return errs
	}
	decodeError, ok := errors.AsType[*mapstructure.DecodeError](err)
	if !ok {
		return []error{fmt.Errorf("configuration: %w", err)}
	}
	for _, s := range new(Config).settings() {
		if s.secret() && strings.EqualFold(s.key, decodeError.Name()) {
			return []error{fmt.Errorf("%s: must be a text", s.key)}
		}
	}
	return []error{fmt.Errorf("%s: %w", decodeError.Name(), decodeError.Unwrap())}
}
