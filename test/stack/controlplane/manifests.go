package controlplane

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	definitionsPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
	// parallelWrites is how many definitions are written at a time; they are large to read for the API server.
	parallelWrites = 8

	conditionPoll = 20 * time.Millisecond
)

// definition is a CustomResourceDefinition as a file holds it.
type definition struct {
	manifest []byte
	name     string
}

// readDefinitions reads YAML files with one or more documents each.
func readDefinitions(paths []string) ([]definition, error) {
	var all []definition
	for _, path := range paths {
		found, err := readFile(path)
		if err != nil {
			return nil, fmt.Errorf("read definitions: %w", err)
		}
		all = append(all, found...)
	}
	return all, nil
}

func readFile(path string) ([]definition, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var found []definition
	for _, document := range documents(data) {
		kind, name := identify(document)
		switch {
		case kind == "" && name == "":
			continue // comments only
		case kind != "CustomResourceDefinition" || name == "":
			return nil, fmt.Errorf("%s holds %s %q, not a CustomResourceDefinition with a name", path, kind, name)
		}
		found = append(found, definition{manifest: document, name: name})
	}
	return found, nil
}

func documents(data []byte) [][]byte {
	separator := regexp.MustCompile(`(?m)^---.*$`)
	texts := separator.Split(string(data), -1)
	parts := make([][]byte, len(texts))
	for i, text := range texts {
		parts[i] = []byte(text)
	}
	return parts
}

// identify finds kind and metadata.name without a YAML parser: both stand at fixed depths in block style, which is
// how controller-gen and everything derived from it write definitions.
func identify(document []byte) (kind, name string) {
	inMetadata := false
	lines := bufio.NewScanner(bytes.NewReader(document))
	lines.Buffer(nil, len(document)+1)
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		switch {
		case key == "kind":
			kind = value
		case !strings.HasPrefix(key, " "):
			inMetadata = key == "metadata"
		case inMetadata && key == "  name":
			name = value
		}
	}
	return kind, name
}

// applyDefinitions writes the definitions and returns when the API server serves them.
func (c *client) applyDefinitions(ctx context.Context, definitions []definition) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelWrites)
	for _, definition := range definitions {
		group.Go(func() error {
			if err := c.apply(ctx, definitionsPath+definition.name, definition.manifest); err != nil {
				return err
			}
			return await(ctx, func() error { return c.established(ctx, definition.name) })
		})
	}
	return group.Wait()
}

func (c *client) established(ctx context.Context, name string) error {
	var object struct{ Status status }
	if err := c.get(ctx, definitionsPath+name, &object); err != nil {
		return err
	}
	return object.Status.is("Established")
}

// status is the part of an object that tells its state.
type status struct {
	Conditions []struct{ Message, Status, Type string }
}

// is returns nil once the condition of that type is true.
func (s status) is(conditionType string) error {
	for _, condition := range s.Conditions {
		if condition.Type == conditionType && condition.Status == "True" {
			return nil
		}
	}
	return fmt.Errorf("not yet %s: %+v", conditionType, s.Conditions)
}

// await calls check until it returns nil or ctx ends.
func await(ctx context.Context, check func() error) error {
	ticker := time.NewTicker(conditionPoll)
	defer ticker.Stop()
	for {
		last := check()
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last: %w)", ctx.Err(), last)
		case <-ticker.C:
		}
	}
}
