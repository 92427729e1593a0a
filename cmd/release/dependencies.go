package main

import (
	"bytes"
	"context"
	"slices"
	"time"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"

	"app238.com/inner/cmd/licenses/modules"
)

// dependencies writes the SBOM, and the licences that others' code comes under.
func (r *release) dependencies(ctx context.Context) error {
	all, err := modules.Of(ctx, "./cmd/inner", slices.Concat(r.platforms, r.clients)...)
	if err != nil {
		return err
	}
	if err := r.write("LICENSES.txt", []byte(modules.Texts(all)), readable); err != nil {
		return err
	}
	var out bytes.Buffer
	encoder := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true)
	if err := encoder.EncodeVersion(r.bom(all), cyclonedx.SpecVersion1_6); err != nil {
		return err
	}
	return r.write("inner-"+r.version+".cdx.json", out.Bytes(), readable)
}

func (r *release) bom(all []modules.Module) *cyclonedx.BOM {
	inner := cyclonedx.Component{
		BOMRef: "inner", Type: cyclonedx.ComponentTypeApplication, Name: "inner", Version: r.version,
		PackageURL: "pkg:golang/app238.com/inner@" + r.version, Licenses: licences("Apache-2.0"),
	}
	components := make([]cyclonedx.Component, 0, len(all))
	references := make([]string, 0, len(all))
	for _, m := range all {
		purl := "pkg:golang/" + m.Path + "@" + m.Version
		references = append(references, purl)
		components = append(components, cyclonedx.Component{
			BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: purl,
			Licenses: licences(m.Licenses...),
		})
	}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Timestamp: r.commit.Time.Format(time.RFC3339), Component: &inner}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: inner.BOMRef, Dependencies: &references}}
	return bom
}

func licences(ids ...string) *cyclonedx.Licenses {
	var all cyclonedx.Licenses
	for _, id := range ids {
		all = append(all, cyclonedx.LicenseChoice{License: &cyclonedx.License{ID: id}})
	}
	return &all
}
