package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// outputFormat is the format of results.
type outputFormat string

const (
	tableFormat outputFormat = "table"
	jsonFormat  outputFormat = "json"
	wideFormat  outputFormat = "wide"
	yamlFormat  outputFormat = "yaml"
)

var formats = []string{string(tableFormat), string(wideFormat), string(jsonFormat), string(yamlFormat)}

// addOutputFlag defines -o on cmd and on the commands below it.
func addOutputFlag(cmd *cobra.Command, format *outputFormat) {
	*format = tableFormat
	cmd.PersistentFlags().VarP(format, "output", "o", strings.Join(formats, ", ")+
		": a table fits the terminal or 80 columns; wide has all columns, as long as they are without a terminal")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

// String implements pflag.Value.
func (f *outputFormat) String() string { return string(*f) }

// Type implements pflag.Value.
func (f *outputFormat) Type() string { return "format" }

// Set implements pflag.Value.
func (f *outputFormat) Set(value string) error {
	if !slices.Contains(formats, value) {
		return fmt.Errorf("must be %s", strings.Join(formats, ", "))
	}
	*f = outputFormat(value)
	return nil
}

// isTable tells whether results are for people.
func (f *outputFormat) isTable() bool { return *f == tableFormat || *f == wideFormat }

// write writes a result as one JSON or YAML document with the same fields, or as a table.
func (f *outputFormat) write(cmd *cobra.Command, result any, table func(*table)) error {
	switch *f {
	case jsonFormat:
		return writeJSON(cmd.OutOrStdout(), result)
	case yamlFormat:
		return writeYAML(cmd.OutOrStdout(), result)
	case tableFormat, wideFormat:
	}
	t := newTable(cmd.OutOrStdout(), *f == wideFormat)
	table(t)
	return t.close()
}

func writeJSON(w io.Writer, result any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(result)
}

// writeYAML converts the JSON document, so that names and order of the fields are the same.
func writeYAML(w io.Writer, result any) error {
	var document bytes.Buffer
	if err := writeJSON(&document, result); err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(document.Bytes(), &node); err != nil {
		return err
	}
	plainStyle(&node)
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	return encoder.Encode(&node)
}

// plainStyle removes the style of JSON, braces and quotes; the encoder adds quotes where they are needed.
func plainStyle(node *yaml.Node) {
	node.Style = 0
	for _, child := range node.Content {
		plainStyle(child)
	}
}
