package config

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

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
	flags.String("config", "", "YAML file with settings that differ from the defaults")
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

// Load reads the defaults, then the file named by --config, then INNER_… variables and the flags that were set; later
// values override earlier ones. Unknown keys and invalid values are errors with the key.
func Load(flags *pflag.FlagSet) (*Config, error) {
	c, err := read(flags)
	if err != nil {
		return nil, Error{err}
	}
	if err := c.Validate(); err != nil {
		return nil, Error{err}
	}
	return c, nil
}

// LoadForDatabase is Load for commands that need the database only: it requires no domain.
func LoadForDatabase(flags *pflag.FlagSet) (*Config, error) {
	c, err := read(flags)
	if err != nil {
		return nil, Error{err}
	}
	if c.Domain == "" {
		c.Domain = testDomain
	}
	if err := c.Validate(); err != nil {
		return nil, Error{err}
	}
	return c, nil
}

// testDomain is the domain of tests and of commands that need none.
const testDomain = "localhost.test"

func read(flags *pflag.FlagSet) (*Config, error) {
	v, err := withDefaults()
	if err != nil {
		return nil, err
	}
	if err := mergeFile(v, flags); err != nil {
		return nil, err
	}
	if err := mergeSecretFiles(v); err != nil {
		return nil, err
	}
	v.SetEnvPrefix(variablePrefix)
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	v.AutomaticEnv()
	if err := v.BindEnv("domain", "INNER_DOMAIN", "DOMAIN"); err != nil {
		return nil, fmt.Errorf("domain: %w", err)
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
	c, err := decode(v)
	if err != nil {
		return nil, err
	}
	if testing && c.Domain == "" {
		c.Domain = testDomain
	}
	return c, nil
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
	return decode(v)
}

func mergeFile(v *viper.Viper, flags *pflag.FlagSet) error {
	f := flags.Lookup("config")
	if f == nil || f.Value.String() == "" {
		return nil
	}
	file, err := os.Open(f.Value.String())
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	defer func() { _ = file.Close() }()
	if err := v.MergeConfig(file); err != nil {
		return fmt.Errorf("--config %s: %w", f.Value.String(), err)
	}
	return nil
}
