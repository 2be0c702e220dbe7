{{/* Makes .Values whole; the first line of every template. A key with nothing beneath it counts as not given, whether it is a
     section, a list or a single value: its default holds. In maps of free keys (labels, sidecar.env, sidecar.container, ...) a
     key with nothing beneath takes back what an earlier `helm upgrade` has set. */}}
{{- define "sidetap.prepare" -}}
{{- $values := .Values -}}
{{- range $path, $default := include "sidetap.defaults" . | fromYaml -}}
{{- $keys := splitList "." $path -}}
{{- $at := $values -}}
{{- range initial $keys -}}
{{- if kindIs "invalid" (index $at .) -}}{{- $_ := set $at . dict -}}{{- end -}}
{{- $at = index $at . -}}
{{- end -}}
{{- $key := last $keys -}}
{{- $value := index $at $key -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := set $at $key $default -}}
{{- else if kindIs "map" $value -}}
{{- $given := dict -}}
{{- range $name, $item := $value -}}
{{- if not (kindIs "invalid" $item) -}}{{- $_ := set $given $name $item -}}{{- end -}}
{{- end -}}
{{- $_ := set $at $key $given -}}
{{- end -}}
{{- end -}}
{{- end -}}

