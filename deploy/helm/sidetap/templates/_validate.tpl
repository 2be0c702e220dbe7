{{/* What no schema can say, or only by printing a regular expression: values that only the operator knows, texts of a form, and
     pairs that do not go together. Fails with a line for each fault: what is wrong, and what is accepted. */}}
{{- define "sidetap.validate" -}}
{{- $missing := list -}}
{{- if and (not .Values.sensor.address) (or (not (include "sidetap.collectsByDefault" .)) (include "sidetap.collectorDials" .)) -}}
{{- $missing = append $missing `sensor.address is not set: the sensor's address, as pods reach it.
      --set sensor.address=10.10.10.10
    Several sensors: --set sensor.address='10.10.10.10\,10.10.10.11'` -}}
{{- end -}}
{{- if not .Values.registry.enabled -}}
{{- if not .Values.subnets.pods -}}
{{- $missing = append $missing `subnets.pods is not set, and registry.enabled is false: without the registry, the subnets that pods get their
    addresses from are all that a tap knows of other pods. Leave registry.enabled at true, or find them:
      kubectl cluster-info dump | grep -m 1 cluster-cidr
    With Calico:
      kubectl --namespace=kube-system get daemonset calico-node -o=jsonpath='{.spec.template.spec.containers[*].env[?(@.name=="CALICO_IPV4POOL_CIDR")].value}'
      kubectl get ippools.crd.projectcalico.org -o=jsonpath='{.items[*].spec.cidr}'
    In general, one subnet a node:
      kubectl get nodes -o=jsonpath='{.items[*].spec.podCIDRs}'
    Then: --set 'subnets.pods={10.244.0.0/16}'` -}}
{{- end -}}
{{- end -}}
{{- if not .Values.subnets.services -}}
{{- $reason := "" -}}
{{- if not .Values.registry.enabled -}}
{{- $reason = "registry.enabled is false: without the registry, nothing else tells a tap which addresses are Services. Leave\n    registry.enabled at true, or find the subnets of cluster IPs:" -}}
{{- else if not .Values.registry.services -}}
{{- $reason = "registry.services is false: the registry then does not tell the taps which addresses are Services. Leave\n    registry.services at true, or find the subnets of cluster IPs:" -}}
{{- else if eq .Values.sidecar.serviceView "never" -}}
{{- $reason = "sidecar.serviceView is never: a tap recognizes what it is then to leave out by these subnets only. Leave\n    sidecar.serviceView at auto, or find the subnets of cluster IPs:" -}}
{{- end -}}
{{- if $reason -}}
{{- $missing = append $missing (printf `subnets.services is not set, and %s
      kubectl cluster-info dump | grep -m 1 service-cluster-ip-range
    From server 1.33 on:
      kubectl get servicecidrs -o=jsonpath='{.items[*].spec.cidrs}'
    Then: --set 'subnets.services={10.96.0.0/12}'` $reason) -}}
{{- end -}}
{{- end -}}
{{- $faults := concat $missing (include "sidetap.faultsOfForm" . | fromJsonArray) (include "sidetap.faultsOfPairs" . | fromJsonArray) -}}
{{- if $faults -}}
{{- fail (printf "\n\n  - %s\n" (join "\n\n  - " $faults)) -}}
{{- end -}}
{{- end -}}

{{/* A JSON list of texts that do not have their form. */}}
{{- define "sidetap.faultsOfForm" -}}
{{- $octet := "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])" -}}
{{- $four := printf "(%s\\.){3}%s" $octet $octet -}}
{{- $cidr := printf "%s/(3[0-2]|[12]?[0-9])|[0-9a-fA-F:]*:[0-9a-fA-F:.]*/(12[0-8]|1[01][0-9]|[1-9]?[0-9])" $four -}}
{{- $subnet := "an address and the length of its prefix, for example 10.244.0.0/16" -}}
{{- $label := "[a-z0-9]([a-z0-9-]*[a-z0-9])?" -}}
{{- $object := printf "%s(\\.%s)*" $label $label -}}
{{- $objectName := "a name of lower case letters, digits, '-' and '.'" -}}
{{- $rate := "0|[1-9][0-9]*[KMG]?" -}}
{{- $rateForm := "bits per second, for example 100M, or 0" -}}
{{- $digest := "sha256: and 64 hexadecimal digits" -}}
{{- $v := .Values -}}
{{- $checks := list
  (list "image.registry" $v.image.registry "([a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*/?)?" "HOST, HOST:PORT or HOST/PATH in lower case, without https://")
  (list "image.tag" $v.image.tag "([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?" "a tag of letters, digits, '_', '.' and '-'")
  (list "image.webhook.repository" $v.image.webhook.repository "[a-z0-9._/:-]+" "a repository in lower case")
  (list "image.sidecar.repository" $v.image.sidecar.repository "[a-z0-9._/:-]+" "a repository in lower case")
  (list "image.webhook.digest" $v.image.webhook.digest "(sha256:[0-9a-f]{64})?" $digest)
  (list "image.sidecar.digest" $v.image.sidecar.digest "(sha256:[0-9a-f]{64})?" $digest)
  (list "sidecar.interface" $v.sidecar.interface "[^\\s/,]{0,15}(,[^\\s/,]{1,15})*" "names of interfaces, separated by commas")
  (list "sidecar.bufferSize" $v.sidecar.bufferSize "([1-9][0-9]*([KMG]i?)?)?" "a size in bytes, for example 4M")
  (list "sidecar.backlog" $v.sidecar.backlog "(0|[1-9][0-9]*([KMG]i?)?)?" "a size in bytes, for example 16M, or 0")
  (list "sidecar.tappedPeers" $v.sidecar.tappedPeers "all|none|!?[0-9a-fA-F/]*[:.][0-9a-fA-F:./]*(,!?[0-9a-fA-F/]*[:.][0-9a-fA-F:./]*)*" "all, none or subnets, separated by commas")
  (list "sensor.secretName" $v.sensor.secretName (printf "(%s)?" $object) $objectName)
  (list "sidecar.maxRate" $v.sidecar.maxRate $rate $rateForm)
  (list "sidecar.registryControl" $v.sidecar.registryControl "on|off|(sensors|filter|sampling|snaplen|rate|pause)(,(sensors|filter|sampling|snaplen|rate|pause))*" "on, off, or some of sensors, filter, sampling, snaplen, rate and pause, separated by commas")
  (list "certificates.certManager.duration" $v.certificates.certManager.duration "([0-9]+(h|m|s))+" "a duration, for example 2160h")
  (list "certificates.certManager.renewBefore" $v.certificates.certManager.renewBefore "([0-9]+(h|m|s))+" "a duration, for example 720h")
  (list "certificates.existingSecret.name" $v.certificates.existingSecret.name (printf "(%s)?" $object) $objectName)
  (list "certificates.existingSecret.caBundle" $v.certificates.existingSecret.caBundle "(\\s*-----BEGIN CERTIFICATE-----(.|\\s)*)?" "a certificate as PEM")
  (list "identities.keep" $v.identities.keep "[1-9][0-9]*(ms|s|m|h)" "a duration, for example 24h")
  (list "collector.tlsSecretName" $v.collector.tlsSecretName (printf "(%s)?" $object) $objectName)
  (list "collector.priorityClassName" $v.collector.priorityClassName (printf "(%s)?" $object) $objectName)
  (list "collector.files.storageClassName" $v.collector.files.storageClassName (printf "(%s)?" $object) $objectName)
  (list "collector.files.size" (toString $v.collector.files.size) "[0-9.]+(m|k|M|G|T|Ki|Mi|Gi|Ti)?" "a quantity, for example 20Gi")
  (list "collector.interface" $v.collector.interface "[^\\s/,]{0,15}" "the name of an interface")
  (list "serviceAccount.name" $v.serviceAccount.name (printf "(%s)?" $object) $objectName)
  (list "webhook.priorityClassName" $v.webhook.priorityClassName (printf "(%s)?" $object) $objectName)
  (list "monitoring.podMonitor.interval" $v.monitoring.podMonitor.interval "[0-9]+(ms|s|m)" "a duration, for example 30s")
  (list "tests.namespace" $v.tests.namespace $label "a name of lower case letters, digits and '-'")
  (list "nameOverride" $v.nameOverride (printf "(%s)?" $label) "a name of lower case letters, digits and '-'")
  (list "fullnameOverride" $v.fullnameOverride "([a-z]([a-z0-9-]*[a-z0-9])?)?" "a name of lower case letters, digits and '-' that begins with a letter")
-}}
{{- range $path, $list := dict "subnets.pods" $v.subnets.pods "subnets.services" $v.subnets.services "sidecar.untappedServices" $v.sidecar.untappedServices "networkPolicy.apiServerCIDRs" $v.networkPolicy.apiServerCIDRs -}}
{{- range $index, $item := $list -}}
{{- $checks = append $checks (list (printf "%s[%d]" $path $index) $item $cidr $subnet) -}}
{{- end -}}
{{- end -}}
{{- range $path, $list := dict "image.pullSecrets" $v.image.pullSecrets "image.sidecar.pullSecrets" $v.image.sidecar.pullSecrets "injection.excludedNamespaces" $v.injection.excludedNamespaces -}}
{{- range $index, $item := $list -}}
{{- $checks = append $checks (list (printf "%s[%d]" $path $index) $item $object $objectName) -}}
{{- end -}}
{{- end -}}
{{- range $path, $list := dict "sidecar.resources.requests" $v.sidecar.resources.requests "sidecar.resources.limits" $v.sidecar.resources.limits "webhook.resources.requests" $v.webhook.resources.requests "webhook.resources.limits" $v.webhook.resources.limits "collector.resources.requests" $v.collector.resources.requests "collector.resources.limits" $v.collector.resources.limits -}}
{{- range $name, $item := $list -}}
{{- $checks = append $checks (list (printf "%s.%s" $path $name) (toString $item) "[0-9.]+(m|k|M|G|Ki|Mi|Gi)?" "a quantity, for example 500m or 64Mi") -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := $v.sidecar.env -}}
{{- $checks = append $checks (list "sidecar.env" $name "[A-Z_][A-Z0-9_]*" "names of variables in upper case") -}}
{{- end -}}
{{- range $name, $_ := $v.collector.env -}}
{{- $checks = append $checks (list "collector.env" $name "[A-Z_][A-Z0-9_]*" "names of variables in upper case") -}}
{{- end -}}
{{- $lists := dict "sensor.address" $v.sensor.address -}}
{{- range $name, $profile := include "sidetap.profiles" . | fromJson -}}
{{- $path := printf "profiles.%s" $name -}}
{{- $sensor := $profile.sensor | default dict -}}
{{- $lists = set $lists (printf "%s.sensor.address" $path) ($sensor.address | default "") -}}
{{- $checks = append $checks (list "profiles" $name (printf "(%s){1,63}" $label) "names of lower case letters, digits and '-'") -}}
{{- $checks = append $checks (list (printf "%s.sensor.secretName" $path) ($sensor.secretName | default "") (printf "(%s)?" $object) $objectName) -}}
{{- $checks = append $checks (list (printf "%s.sidecar.maxRate" $path) (($profile.sidecar | default dict).maxRate | default "0") $rate $rateForm) -}}
{{- range $index, $item := $profile.namespaces -}}
{{- $checks = append $checks (list (printf "%s.namespaces[%d]" $path $index) $item $label "a name of lower case letters, digits and '-'") -}}
{{- end -}}
{{- end -}}
{{- $faults := list -}}
{{- range $checks -}}
{{- if not (regexMatch (printf "^(%s)$" (index . 2)) (index . 1)) -}}
{{- $faults = append $faults (printf "%s is %q; accepted: %s." (index . 0) (index . 1) (index . 3)) -}}
{{- end -}}
{{- end -}}
{{- /* As the programs read it: what consists of numbers, octal and hexadecimal ones too, and dots is an IPv4 address or wrong. */ -}}
{{- $any := "[A-Za-z0-9_-]{1,63}" -}}
{{- $noNumber := "([A-Za-z_-]|[1-9][0-9]*[A-Za-z_-]|0[0-9]+[A-Za-z_-]|0[A-WYZa-wyz_-]|0[xX][A-Za-z0-9_-]*[G-Zg-z_-])[A-Za-z0-9_-]*" -}}
{{- $name := printf "(%s\\.)*%s(\\.%s)*\\.?" $any $noNumber $any -}}
{{- $six := "[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*" -}}
{{- $port := "(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?" -}}
{{- range $path, $addresses := $lists -}}
{{- $sensors := ternary (splitList "," $addresses) list (ne $addresses "") -}}
{{- if gt (len $sensors) 10 -}}{{- $faults = append $faults (printf "%s names %d sensors; accepted: up to 10." $path (len $sensors)) -}}{{- end -}}
{{- range $sensors -}}
{{- if or (not (regexMatch (printf "^((%s|%s|\\[%s\\])%s|%s)$" $four $name $six $port $six) .)) (regexMatch "[^.:]{64}" .) -}}
{{- $faults = append $faults (printf "%s names %q; accepted: HOST or HOST:PORT, without https:// and the like, IPv6 with a port in brackets; several separated by commas." $path .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{/* A JSON list of values that do not go together, or not with this server. */}}
{{- define "sidetap.faultsOfPairs" -}}
{{- $faults := list -}}
{{- if not (regexMatch "^[a-z]" (include "sidetap.fullname" .)) -}}
{{- $faults = append $faults (printf "the objects would be named %s-..., and names of Services begin with a letter: set fullnameOverride, for example to sidetap." (include "sidetap.fullname" .)) -}}
{{- end -}}
{{- if and .Values.webhook.hostNetwork (eq (int .Values.webhook.port) 10250) -}}
{{- $faults = append $faults "webhook.hostNetwork is set and webhook.port is 10250, which on a node is the kubelet's. Choose another that the control plane reaches, for example --set webhook.port=10260" -}}
{{- end -}}
{{- if and (eq .Values.sidecar.native "always") (not (include "sidetap.serverIs" (list . "1.29"))) -}}
{{- $faults = append $faults (printf "sidecar.native is always, but server %s knows no native sidecars (1.29 does). Leave it at auto." .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $ports := list (int .Values.webhook.port) (int .Values.webhook.statusPort) -}}
{{- if .Values.registry.enabled -}}{{- $ports = append $ports (int .Values.registry.port) -}}{{- end -}}
{{- if include "sidetap.servesPage" . -}}{{- $ports = append $ports (int .Values.page.port) -}}{{- end -}}
{{- if ne (len $ports) (len (uniq $ports)) -}}
{{- $faults = append $faults "webhook.port, webhook.statusPort, registry.port and page.port must differ." -}}
{{- end -}}
{{- if and (eq .Values.certificates.mode "certManager") (not (.Capabilities.APIVersions.Has "cert-manager.io/v1")) -}}
{{- $faults = append $faults "certificates.mode is certManager, but the server has no cert-manager.io/v1. Install cert-manager first, or leave certificates.mode at selfManaged.\n    Without a server (helm template): --api-versions cert-manager.io/v1" -}}
{{- end -}}
{{- if and .Values.identities.volume (not (include "sidetap.knowsIdentities" .)) -}}
{{- $faults = append $faults "identities.volume is set, but without the registry and its tokens nothing is known of identities. Leave registry.enabled at true and registry.auth at token, or identities.volume empty." -}}
{{- end -}}
{{- $faults = concat $faults (include "sidetap.faultsOfSensors" . | fromJsonArray) -}}
{{- if .Values.collector.enabled -}}{{- $faults = concat $faults (include "sidetap.faultsOfCollector" . | fromJsonArray) -}}{{- end -}}
{{- $outputs := dict "sidecar.output" .Values.sidecar.output -}}
{{- $owners := dict -}}
{{- range $name, $profile := include "sidetap.profiles" . | fromJson -}}
{{- $outputs = set $outputs (printf "profiles.%s.sidecar.output" $name) (($profile.sidecar | default dict).output | default "rpcap") -}}
{{- range $profile.namespaces -}}
{{- if ne (get $owners . | default $name) $name -}}
{{- $faults = append $faults (printf "profiles.%s.namespaces names %s, and so does profiles.%s: a namespace is in one profile at most." $name . (get $owners .)) -}}
{{- end -}}
{{- $_ := set $owners . $name -}}
{{- end -}}
{{- end -}}
{{- if not (hasKey .Values.sidecar.env "PCAP_DIR") -}}
{{- range $path, $output := $outputs -}}
{{- if eq $output "pcap" -}}
{{- $faults = append $faults (printf "%s is pcap, but taps have no folder for the files. Set sidecar.env.PCAP_DIR." $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (hasKey .Values.sidecar.env "OUTPUT_INTERFACE") -}}
{{- range $path, $output := $outputs -}}
{{- if eq $output "interface" -}}
{{- $faults = append $faults (printf "%s is interface, but taps do not know which. Set sidecar.env.OUTPUT_INTERFACE." $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (or (hasKey .Values.sidecar.env "PCAP_LISTEN") (hasKey .Values.sidecar.env "PCAP_CONNECT")) -}}
{{- range $path, $output := $outputs -}}
{{- if eq $output "pcap-over-ip" -}}
{{- $faults = append $faults (printf "%s is pcap-over-ip, but taps have nowhere to send it. Set sidecar.env.PCAP_LISTEN or sidecar.env.PCAP_CONNECT." $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $bytes := len (include "sidetap.configuration" .) -}}
{{- if gt $bytes 200000 -}}
{{- $faults = append $faults (printf "the webhook's configuration has %d bytes; the annotation that holds it takes 200000. The longest lists are usually injection.excludedNamespaces and subnets." $bytes) -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{/* A JSON list of sensors and outputs that do not go together, of all taps and of each profile. The webhook refuses them too, but in
     the pods of a rollout, where nobody looks at first. Taps that send to collectors: see sidetap.faultsOfCollector. */}}
{{- define "sidetap.faultsOfSensors" -}}
{{- $faults := list -}}
{{- $env := .Values.sidecar.env -}}
{{- $default := include "sidetap.tapSensor" . | fromJson -}}
{{- $parts := dict "" (dict "sensor" $default "output" .Values.sidecar.output) -}}
{{- range $name, $profile := include "sidetap.profiles" . | fromJson -}}
{{- $path := printf "profiles.%s." $name -}}
{{- $output := ($profile.sidecar | default dict).output | default $.Values.sidecar.output -}}
{{- $parts = set $parts $path (dict "sensor" (merge (dict) ($profile.sensor | default dict) $default) "output" $output) -}}
{{- $another := and (has $output (list "rpcap" "vxlan")) (ne $output $.Values.sidecar.output) -}}
{{- if and $another (not ($profile.sensor | default dict).address) (not $.Values.collector.enabled) -}}
{{- $faults = append $faults (printf "%ssidecar.output is %s, but its taps have no sensor for it: set %ssensor.address." $path $output $path) -}}
{{- end -}}
{{- end -}}
{{- $collectors := include "sidetap.collectorSensor" . | fromJson -}}
{{- range $path, $part := $parts -}}
{{- $sensor := $part.sensor -}}
{{- $output := $part.output -}}
{{- if not (and $.Values.collector.enabled (eq $sensor.address $collectors.address)) -}}
{{- if and (ne $sensor.tls "off") (ne $output "rpcap") -}}
{{- $faults = append $faults (printf "%ssidecar.output is %s, but the sensors' TLS is %s, which only rpcap has. Set %ssensor.tls=off, in a file `tls: \"off\"`." $path $output $sensor.tls $path) -}}
{{- end -}}
{{- if and (eq $sensor.tls "rpcaps") (not $sensor.secretName) (not (hasKey $env "SENSOR_TLS_CERT")) -}}
{{- $faults = append $faults (printf "%ssensor.secretName is not set, but the sensors' TLS is rpcaps: it needs a Secret with tls.crt and tls.key." $path) -}}
{{- end -}}
{{- if and (eq $output "vxlan") (has $sensor.mode (list "failover" "hash")) -}}
{{- $faults = append $faults (printf "%ssidecar.output is vxlan, but the sensors' mode is %s, and receivers of VXLAN do not answer. Accepted for %ssensor.mode: replicate, balance." $path $sensor.mode $path) -}}
{{- end -}}
{{- if and (eq $sensor.tls "registry") (not $.Values.registry.enabled) (not (hasKey $env "REGISTRY")) -}}
{{- $faults = append $faults (printf "%ssensor.tls is registry, but registry.enabled is false: taps know that CA from the registry. Accepted: off, rpcaps, client." $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{/* A JSON list of what does not go with collectors. */}}
{{- define "sidetap.faultsOfCollector" -}}
{{- $faults := list -}}
{{- $c := .Values.collector -}}
{{- if and $c.tls (not .Values.registry.enabled) -}}
{{- $faults = append $faults "collector.tls is true, but registry.enabled is false: taps know the collectors' CA from the registry. Leave registry.enabled at true, or set collector.tls=false." -}}
{{- end -}}
{{- if and $c.allTaps (ne .Values.sidecar.output "rpcap") -}}
{{- $faults = append $faults (printf "sidecar.output is %s, but taps reach collectors by rpcap. Leave sidecar.output at rpcap, and say collector.output=%s." .Values.sidecar.output .Values.sidecar.output) -}}
{{- end -}}
{{- if and (ne $c.output "rpcap") (ne .Values.sensor.tls "off") (include "sidetap.collectorDials" .) -}}
{{- $faults = append $faults (printf "sensor.tls is %s, but collector.output is %s, which has no TLS." .Values.sensor.tls $c.output) -}}
{{- end -}}
{{- if and (eq $c.output "vxlan") (has .Values.sensor.mode (list "failover" "hash")) -}}
{{- $faults = append $faults (printf "sensor.mode is %s, but collector.output is vxlan, whose receivers do not answer. Accepted: replicate, balance." .Values.sensor.mode) -}}
{{- end -}}
{{- if eq .Values.sensor.tls "registry" -}}
{{- $faults = append $faults "sensor.tls is registry, which is how taps prove collectors; collectors prove sensors by sensor.secretName. Accepted with collector.enabled: off, rpcaps, client." -}}
{{- end -}}
{{- if and (eq $c.output "rpcap") (eq .Values.sensor.tls "rpcaps") (not .Values.sensor.secretName) (not $c.env.SENSOR_TLS_CERT) -}}
{{- $faults = append $faults "sensor.secretName is not set, but sensor.tls is rpcaps: collectors need a Secret with tls.crt and tls.key." -}}
{{- end -}}
{{- if and (eq $c.output "interface") (not $c.interface) (not $c.env.OUTPUT_INTERFACE) -}}
{{- $faults = append $faults "collector.output is interface, but collector.interface is not set: the name of the interface that packets are put into." -}}
{{- end -}}
{{- if gt (int $c.autoscaling.minReplicas) (int $c.autoscaling.maxReplicas) -}}
{{- $faults = append $faults "collector.autoscaling.minReplicas is more than collector.autoscaling.maxReplicas." -}}
{{- end -}}
{{- $clear := or (has $c.output (list "vxlan" "pcap-over-ip")) (and (eq $c.output "rpcap") (eq .Values.sensor.tls "off")) -}}
{{- if and $clear (ne .Values.sidecar.mesh "off") (eq (.Values.sidecar.env.MESH_CLEARTEXT_OK | default "false") "false") -}}
{{- $faults = append $faults (printf "sidecar.mesh is %s, but collectors send the plaintext on without TLS. Set collector.output=rpcap with sensor.tls=client or rpcaps, or say by sidecar.env.MESH_CLEARTEXT_OK=true that the path is encrypted otherwise." .Values.sidecar.mesh) -}}
{{- end -}}
{{- $requests := $c.resources.requests | default dict -}}
{{- $limits := $c.resources.limits | default dict -}}
{{- if and $c.autoscaling.enabled (not (or $requests.cpu $limits.cpu)) -}}
{{- $faults = append $faults "collector.autoscaling.enabled is true, but collector.resources.requests.cpu is not set: the CPU to aim at is a part of it." -}}
{{- end -}}
{{- $ports := concat (list (int $c.port) (int $c.statusPort)) (include "sidetap.collectorDataPorts" . | fromJsonArray) -}}
{{- if eq $c.output "pcap-over-ip" -}}{{- $ports = append $ports (int $c.readersPort) -}}{{- end -}}
{{- $whole := list -}}{{- range $ports -}}{{- $whole = append $whole (toString (int .)) -}}{{- end -}}
{{- if ne (len $whole) (len (uniq $whole)) -}}
{{- $faults = append $faults "collector.port, collector.dataPort with the three after it, collector.statusPort, and collector.readersPort must differ." -}}
{{- end -}}
{{- range $name, $given := .Values.profiles -}}
{{- $profile := dict -}}
{{- range $key, $part := $given -}}{{- if not (kindIs "invalid" $part) -}}{{- $_ := set $profile $key $part -}}{{- end -}}{{- end -}}
{{- $path := printf "profiles.%s" $name -}}
{{- $output := ($profile.sidecar | default dict).output | default $.Values.sidecar.output -}}
{{- if not (include "sidetap.profileCollects" (list $ $profile)) -}}
{{- $unfit := or (not $.Values.sensor.address) (ne $output $.Values.sidecar.output) -}}
{{- if and $unfit (not ($profile.sensor | default dict).address) (has $output (list "rpcap" "vxlan")) -}}
{{- $faults = append $faults (printf "%s does not send to the collectors, and has no sensor for %s: set %s.sensor.address." $path $output $path) -}}
{{- end -}}
{{- else if ne $output "rpcap" -}}
{{- $faults = append $faults (printf "%s sends to the collectors, but its output is %s; they take rpcap. Set %s.sidecar.output=rpcap, or %s.collector=false." $path $output $path $path) -}}
{{- else if $profile.sensor -}}
{{- $faults = append $faults (printf "%s.sensor is set, but its taps send to the collectors. Set %s.collector=false, or take it out." $path $path) -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}
