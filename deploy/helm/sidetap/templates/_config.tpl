{{/* The webhook's configuration, which is part of its pod template (annotation sidetap.io/configuration, mounted through the
     downward API) and of no object of its own. So it changes together with the pods: a rollout that has ended means that it is in
     force, pods of the old template keep the old one however often they restart, and a rollback brings both back. */}}
{{- define "sidetap.configuration" -}}
generation: {{ include "sidetap.generation" . }}
{{ include "sidetap.settings" . }}
{{- end -}}

{{/* While replicas differ, as in a rollout, taps follow the one with the greater generation. It is the release's revision, or, if
     nothing else has changed, that of the Deployment in the cluster: the same values make no new pods. */}}
{{- define "sidetap.generation" -}}
{{- $generation := toString .Release.Revision -}}
{{- $deployment := lookup "apps/v1" "Deployment" .Release.Namespace (include "sidetap.webhook" .) | default dict -}}
{{- $current := dig "spec" "template" "metadata" "annotations" "sidetap.io/configuration" "" $deployment -}}
{{- $first := index (splitList "\n" $current) 0 -}}
{{- $same := eq (trim (trimPrefix $first $current)) (trim (include "sidetap.settings" .)) -}}
{{- if and $same (regexMatch "^generation: [1-9][0-9]*$" $first) -}}
{{- $generation = trimPrefix "generation: " $first -}}
{{- end -}}
{{- $generation -}}
{{- end -}}

{{/* All of the configuration but its generation. */}}
{{- define "sidetap.settings" -}}
{{- $sensor := include "sidetap.tapSensor" . | fromJson -}}
sensor:
  address: {{ $sensor.address | quote }}
  {{- /* The webhook knows the port that goes with each output. */}}
  {{- with $sensor.port }}
  port: {{ int . }}
  {{- end }}
  mode: {{ $sensor.mode | quote }}
  tls: {{ $sensor.tls | quote }}
  {{- with $sensor.secretName }}
  secretName: {{ . | quote }}
  {{- end }}
{{- /* Only what is given: a tap has no variable with nothing in it. */}}
{{- if or .Values.subnets.pods .Values.subnets.services }}
subnets:
  {{- with .Values.subnets.pods }}
  pods: {{ toJson . }}
  {{- end }}
  {{- with .Values.subnets.services }}
  services: {{ toJson . }}
  {{- end }}
{{- end }}
sidecar:
  image: {{ include "sidetap.image" (dict "context" . "image" .Values.image.sidecar) | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy | quote }}
  imagePullSecrets: {{ toJson .Values.image.sidecar.pullSecrets }}
  native: {{ .Values.sidecar.native | quote }}
  capabilities: {{ .Values.sidecar.capabilities | quote }}
  resources:
    {{- toYaml .Values.sidecar.resources | nindent 4 }}
  {{- include "sidetap.tapSettings" . | nindent 2 }}
  registryControl: {{ .Values.sidecar.registryControl | quote }}
  env: {{ toJson .Values.sidecar.env }}
  container: {{ toJson .Values.sidecar.container }}
  {{- /* A sensor of a pod's own would have to prove itself as a collector does. */}}
  overrides: {{ toJson (ternary (without .Values.sidecar.overrides "sensor") .Values.sidecar.overrides (eq $sensor.tls "registry")) }}
{{- with include "sidetap.profiles" . | fromJson }}
profiles: {{ toJson . }}
{{- end }}
injection:
  serverVersion: {{ .Capabilities.KubeVersion.Version | quote }}
  ownNamespace: {{ .Release.Namespace | quote }}
  excludedNamespaces: {{ toJson .Values.injection.excludedNamespaces }}
  {{- with .Values.injection.excludedPods }}
  excludedPods: {{ toJson (dict "matchLabels" .) }}
  {{- end }}
  forceJobs: {{ .Values.injection.forceJobs }}
{{- if .Values.registry.enabled }}
registry:
  address: {{ printf "%s.%s.svc:%d" (include "sidetap.registry" .) .Release.Namespace (int .Values.registry.port) | quote }}
  auth: {{ .Values.registry.auth | quote }}
{{- end }}
{{ end -}}

{{/* The profiles as JSON, without what has nothing beneath it: that counts as not given. Which of them send to the collectors is
     said by their sensors. */}}
{{- define "sidetap.profiles" -}}
{{- $profiles := dict -}}
{{- range $name, $profile := .Values.profiles -}}
{{- $kept := dict -}}
{{- range $key, $part := $profile -}}
{{- if kindIs "map" $part -}}
{{- $given := dict -}}
{{- range $setting, $value := $part -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $given $setting $value -}}{{- end -}}
{{- end -}}
{{- if $given -}}{{- $_ := set $kept $key $given -}}{{- end -}}
{{- else if not (kindIs "invalid" $part) -}}
{{- $_ := set $kept $key $part -}}
{{- end -}}
{{- end -}}
{{- $_ := set $profiles $name (include "sidetap.routedProfile" (list $ $kept) | fromJson) -}}
{{- end -}}
{{- toJson $profiles -}}
{{- end -}}

{{/* The command line of the webhook, a JSON list. */}}
{{- define "sidetap.webhookArgs" -}}
{{- $args := list "serve" -}}
{{- $args = append $args (printf "--listen=:%d" (int .Values.webhook.port)) -}}
{{- $args = append $args (printf "--status-listen=:%d" (int .Values.webhook.statusPort)) -}}
{{- $args = append $args "--config=/etc/sidetap/config.yaml" -}}
{{- $self := eq .Values.certificates.mode "selfManaged" -}}
{{- if $self -}}
{{- $services := list (include "sidetap.webhook" .) -}}
{{- if .Values.registry.enabled -}}{{- $services = append $services (include "sidetap.registry" .) -}}{{- end -}}
{{- $args = concat $args (list "--certs=self-managed" (printf "--certs-namespace=%s" .Release.Namespace)
      (printf "--certs-secret=%s" (include "sidetap.tlsSecret" .)) (printf "--certs-services=%s" (join "," $services))
      (printf "--certs-webhook-configuration=%s" (include "sidetap.webhook" .))) -}}
{{- if include "sidetap.collectorTls" . -}}
{{- $args = concat $args (list (printf "--certs-collector-secret=%s" (include "sidetap.collectorTlsSecret" .))
      (printf "--certs-collector-services=%s" (include "sidetap.collector" .))) -}}
{{- end -}}
{{- else -}}
{{- $args = concat $args (list "--tls-cert=/etc/sidetap-tls/tls.crt" "--tls-key=/etc/sidetap-tls/tls.key") -}}
{{- end -}}
{{- if .Values.registry.enabled -}}
{{- $args = concat $args (list (printf "--registry-listen=:%d" (int .Values.registry.port)) (printf "--registry-auth=%s" .Values.registry.auth)) -}}
{{- if include "sidetap.watchesServices" . -}}{{- $args = append $args "--registry-services=true" -}}{{- end -}}
{{- if include "sidetap.watchesNodes" . -}}{{- $args = append $args "--registry-nodes=true" -}}{{- end -}}
{{- if not $self -}}{{- $args = append $args "--registry-ca=/etc/sidetap-tls/ca.crt" -}}{{- end -}}
{{- if include "sidetap.knowsIdentities" . -}}
{{- $args = concat $args (list (printf "--identity-api=%t" .Values.identities.enabled) (printf "--identity-keep=%s" .Values.identities.keep)
      (printf "--identity-entries=%d" (int .Values.identities.entries))) -}}
{{- if .Values.identities.volume -}}{{- $args = append $args "--identity-dir=/var/lib/sidetap-identities" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if include "sidetap.servesPage" . -}}{{- $args = append $args (printf "--page-listen=127.0.0.1:%d" (int .Values.page.port)) -}}{{- end -}}
{{- if .Values.coverage.enabled -}}{{- $args = concat $args (list "--coverage=on" (printf "--coverage-selector=%s" (include "sidetap.coverageSelector" .))) -}}{{- end -}}
{{- $args = append $args (printf "--events=%s" (ternary "on" "off" .Values.events.enabled)) -}}
{{- if include "sidetap.writesTapEvents" . -}}{{- $args = append $args "--tap-events=on" -}}{{- end -}}
{{- $args = concat $args (list (printf "--threads=%d" (int .Values.webhook.threads)) (printf "--drain-seconds=%d" (int .Values.webhook.drainSeconds))
      (printf "--log-level=%s" .Values.webhook.logLevel) (printf "--log-format=%s" .Values.webhook.logFormat)) -}}
{{- toJson (concat $args .Values.webhook.extraArgs) -}}
{{- end -}}
