package config

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"app238.com/inner/configs"
)

// mask stands for a secret wherever settings are shown.
const mask = "***"

// Document returns the settings in effect as a documented file that --config reads: inner.yaml with the values of c. A
// changed value has the default in a comment. Secrets are masked.
func (c *Config) Document() ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(configs.Defaults, &document); err != nil {
		return nil, fmt.Errorf("default configuration: %w", err)
	}
	defaults, err := readDefaults()
	if err != nil {
		return nil, err
	}
	defaultSettings := defaults.settings()
	for i, s := range c.settings() {
		node := find(&document, strings.Split(s.key, "."))
		if node == nil {
			return nil, fmt.Errorf("%s: not in the default configuration", s.key)
		}
		if reflect.DeepEqual(s.value.Interface(), defaultSettings[i].value.Interface()) {
			continue
		}
		if err := s.writeTo(node); err != nil {
			return nil, fmt.Errorf("%s: %w", s.key, err)
		}
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return out.Bytes(), nil
}

// find returns the value under a path of keys, nil where there is none.
func find(node *yaml.Node, path []string) *yaml.Node {
	if node.Kind == yaml.DocumentNode {
		return find(node.Content[0], path)
	}
	if len(path) == 0 {
		return node
	}
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == path[0] {
			return find(node.Content[i+1], path[1:])
		}
	}
	return nil
}

// writeTo replaces the value of the node, which holds the default.
func (s setting) writeTo(node *yaml.Node) error {
	was := *node
	value := s.value.Interface()
	switch v := value.(type) {
	case Secret:
		value = v.String()
	case time.Duration:
		value = durationText(v)
	}
	if err := node.Encode(value); err != nil {
		return err
	}
	node.HeadComment, node.LineComment, node.FootComment = was.HeadComment, was.LineComment, was.FootComment
	if was.Kind == yaml.ScalarNode && was.Value != "" && node.Kind == yaml.ScalarNode {
		node.LineComment = "default: " + was.Value
	}
	return nil
}

// zeroUnits matches the trailing zero units of a duration's text.
var zeroUnits = regexp.MustCompile(`^(\d+h)(?:0m0s)$|^(\d+h\d+m|\d+m)0s$`)

func durationText(d time.Duration) string { return zeroUnits.ReplaceAllString(d.String(), "$1$2") }
