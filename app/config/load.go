package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"app238.com/inner/configs"
)

// flagKeys names the settings that have a flag of their own.
var flagKeys = map[string]string{
	"listen":     "http.listen",
	"database":   "database.dsn",
	"kubeconfig": "kubernetes.kubeconfig",
}

// AddFlags defines --config and the flags that override single settings.
func AddFlags(flags *pflag.FlagSet) {
	flags.String("config", "", "YAML file with settings that differ from the defaults; INNER_CONFIG may name it too")
	flags.StringP("listen", "l", "0.0.0.0:9901", "address of the HTTP interface")
	flags.StringP("database", "d", "", "database, a postgres:// URL")
	flags.StringP("kubeconfig", "k", "", "path of a kubeconfig; empty: the pod's service account")
}

// Error reports invalid settings.
type Error struct{ cause error }

// Error implements error.
func (e Error) Error() string { return e.cause.Error() }

// Unwrap returns the errors of the settings.
func (e Error) Unwrap() error { return e.cause }

// Wrong returns err as the Error of a setting that is checked where it is used.
func Wrong(err error) error { return Error{err} }

// Load reads the defaults, then the file named by --config or INNER_CONFIG, then INNER_… variables and the flags that were set;
// later values override earlier ones. All unknown keys and invalid values are reported at once, each with its key. With such an
// error it also returns the configuration, for further checks, in which a value that could not be read has its default.
func Load(flags *pflag.FlagSet) (*Config, error) { return load(flags, true) }

// LoadForDatabase is Load for commands that need the database only: the domain may be missing, and is empty then.
func LoadForDatabase(flags *pflag.FlagSet) (*Config, error) { return load(flags, false) }

func load(flags *pflag.FlagSet, needsDomain bool) (*Config, error) {
	c, found, err := read(flags)
	if err != nil {
		return nil, Error{err}
	}
	report := func(key string, err error) {
		if !found.about(key) {
			found = append(found, fault{key, err})
		}
	}
	if needsDomain && c.Domain == "" {
		report("domain", errors.New("domain: required (DOMAIN, INNER_DOMAIN or the configuration file), unless ENV=test"))
	}
	c.validate(report)
	if len(found) > 0 {
		return c, Error{found.join()}
	}
	return c, nil
}

// testDomain is the domain of tests.
const testDomain = "localhost.test"

// read returns the configuration and what could not be read of it, or an error of the file.
func read(flags *pflag.FlagSet) (*Config, faults, error) {
	v, err := withDefaults()
	if err != nil {
		return nil, nil, err
	}
	found, err := mergeFile(v, flags)
	if err != nil {
		return nil, nil, err
	}
	found = append(found, mergeSecretFiles(v)...)
	v.SetEnvPrefix(variablePrefix)
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	v.AutomaticEnv()
	if err := v.BindEnv("domain", "INNER_DOMAIN", "DOMAIN"); err != nil {
		return nil, nil, fmt.Errorf("domain: %w", err)
	}
	for flag, key := range flagKeys {
		if f := flags.Lookup(flag); f != nil && f.Changed {
			v.Set(key, f.Value.String())
		}
	}
	testing := os.Getenv("ENV") == "test"
	if testing {
		v.Set("debug", true)
	}
	c, undecoded, err := decode(v)
	if err != nil {
		return nil, nil, err
	}
	if testing && c.Domain == "" {
		c.Domain = testDomain
	}
	return c, append(found, undecoded...), nil
}

// withDefaults returns a viper that holds the defaults.
func withDefaults() (*viper.Viper, error) {
	v := viper.New()
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(configs.Defaults)); err != nil {
		return nil, fmt.Errorf("default configuration: %w", err)
	}
	return v, nil
}

// readDefaults returns the configuration of the defaults alone.
func readDefaults() (*Config, error) {
	v, err := withDefaults()
	if err != nil {
		return nil, err
	}
	c, found, err := decode(v)
	return c, errors.Join(err, found.join())
}

// fileVariable names the configuration file where --config does not.
const fileVariable = variablePrefix + "_CONFIG"

func mergeFile(v *viper.Viper, flags *pflag.FlagSet) (faults, error) {
	source, path := fileVariable, os.Getenv(fileVariable)
	if f := flags.Lookup("config"); f != nil && f.Changed {
		source, path = "--config", f.Value.String()
	}
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	found, err := misshapen(content)
	if err == nil {
		err = v.MergeConfig(bytes.NewReader(content))
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", source, path, err)
	}
	return found, nil
}

// misshapen returns a fault for each group of settings that has a single value or a list in the file, which viper would ignore.
func misshapen(content []byte) (found faults, err error) {
	documents := yaml.NewDecoder(bytes.NewReader(content))
	var file yaml.Node
	if err := documents.Decode(&file); err != nil {
		return nil, nil //nolint:nilerr // it is empty, or viper has the error
	}
	if documents.Decode(new(yaml.Node)) == nil {
		return nil, errors.New("has more than one YAML document")
	}
	defaults, err := withDefaults()
	if err != nil {
		return nil, err
	}
	groups := map[string]bool{}
	for _, known := range knownKeys(defaults) {
		for key := strings.ToLower(known); strings.Contains(key, "."); {
			key = key[:strings.LastIndex(key, ".")]
			groups[key] = true
		}
	}
	var walk func(node *yaml.Node, above string)
	walk = func(node *yaml.Node, above string) {
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			key, value := above+node.Content[i].Value, node.Content[i+1]
			if value.Kind == yaml.AliasNode {
				value = value.Alias
			}
			if groups[strings.ToLower(key)] && value.Kind != yaml.MappingNode && value.Tag != "!!null" {
				found = append(found, fault{key, fmt.Errorf("%s: must be a group of settings", key)})
			}
			walk(value, key+".")
		}
	}
	for _, root := range file.Content {
		walk(root, "")
	}
	return found, nil
}
