// Package modules lists the modules that are compiled into a program, with their licences.
package modules

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/licensecheck"
)

// covered is the share of a file in percent that has to be the text of licences. The rest is names of holders and years.
const covered = 75

// Module is a module whose code is in the program.
type Module struct {
	Path, Version string
	// Licenses are SPDX identifiers, in order.
	Licenses []string
	// Texts are the files that grant them, and notices, by name.
	Texts map[string]string
}

// Of returns the modules of a package, built for these platforms, without the module of the package itself: Go's standard library
// first.
func Of(ctx context.Context, pkg string, platforms ...v1.Platform) ([]Module, error) {
	folders := map[[2]string]string{}
	for _, platform := range platforms {
		if err := list(ctx, pkg, platform, folders); err != nil {
			return nil, err
		}
	}
	var all []Module
	for _, key := range slices.SortedFunc(maps.Keys(folders), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		m := Module{Path: key[0], Version: key[1]}
		if err := m.read(folders[key]); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// standard is the name of Go's standard library as a module.
const standard = "std"

// list adds the folders of the modules that the package needs on a platform.
func list(ctx context.Context, pkg string, platform v1.Platform, folders map[[2]string]string) error {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-json=Standard,Module", pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+platform.OS, "GOARCH="+platform.Architecture)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	output, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("list the packages of %s: %w\n%s", pkg, err, bytes.TrimSpace(problems.Bytes()))
	}
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		type module struct {
			Path, Version, Dir string
			Main               bool
			Replace            *module
		}
		var found struct {
			Standard bool
			Module   *module
		}
		if err := decoder.Decode(&found); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("list the packages of %s: %w", pkg, err)
		}
		if m := found.Module; m != nil && !m.Main {
			if m.Replace != nil {
				m = m.Replace
			}
			folders[[2]string{m.Path, m.Version}] = m.Dir
		}
	}
	return listStandard(ctx, folders)
}

// listStandard adds Go itself.
func listStandard(ctx context.Context, folders map[[2]string]string) error {
	output, err := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("ask go for its version: %w", err)
	}
	version, root, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
	folders[[2]string{standard, strings.TrimPrefix(version, "go")}] = root
	return nil
}

var (
	licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([-._].*)?$`)
	noticeFile  = regexp.MustCompile(`(?i)^(notice|patents)([-._].*)?$`)
)

// read reads the licences in the module's folder.
func (m *Module) read(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("%s: %w", m.Path, err)
	}
	m.Texts = map[string]string{}
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || !licenseFile.MatchString(name) && !noticeFile.MatchString(name) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return fmt.Errorf("%s: %w", m.Path, err)
		}
		m.Texts[name] = string(content)
		if licenseFile.MatchString(name) {
			m.Licenses = append(m.Licenses, identify(content)...)
		}
	}
	slices.Sort(m.Licenses)
	m.Licenses = slices.Compact(m.Licenses)
	if len(m.Licenses) == 0 {
		return fmt.Errorf("%s %s: no licence that is known", m.Path, m.Version)
	}
	return nil
}

// identify returns the licences whose texts the content consists of; none if there is much else in it.
func identify(content []byte) (found []string) {
	coverage := licensecheck.Scan(content)
	if coverage.Percent < covered {
		return nil
	}
	for _, match := range coverage.Match {
		if !match.IsURL {
			found = append(found, match.ID)
		}
	}
	return found
}

// Texts returns the modules' licences and notices in full, one text for those that share it.
func Texts(all []Module) string {
	var out strings.Builder
	holders, order := map[string][]string{}, []string{}
	for _, m := range all {
		for _, name := range slices.Sorted(maps.Keys(m.Texts)) {
			text := strings.TrimSpace(m.Texts[name])
			if holders[text] == nil {
				order = append(order, text)
			}
			holders[text] = append(holders[text], m.Path+" "+m.Version)
		}
	}
	for _, text := range order {
		fmt.Fprintf(&out, "%s\n%s\n\n%s\n\n", strings.Repeat("=", 80), strings.Join(slices.Compact(holders[text]), "\n"), text)
	}
	return out.String()
}
